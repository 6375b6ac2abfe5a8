import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  answerForCompute,
  answerSentence,
  computeOptimum,
  fitCostLaw,
  predictWithInterval,
  sixNd,
} from '../../../src/study/law/compute-optimal.ts';
import { centredProblem, defaultBounds, predictLoss } from '../../../src/study/law/chinchilla.ts';
import { fitScalingLaw } from '../../../src/study/law/fit.ts';
import { isoFlop } from '../../../src/study/law/isoflop.ts';
import { minimise } from '../../../src/study/law/minimise.ts';
import { ScalingLawError, type ScalingPoint } from '../../../src/study/law/points.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

const truth = { A: 40, B: 30, E: 1.2, alpha: 0.4, beta: 0.35 };

/** A small sweep with noise that does not change from run to run. */
function sweep(noise: number, sizes = [5e3, 2e4, 6e4, 2e5], durations = [2e3, 8e3, 3.2e4]): ScalingPoint[] {
  return sizes.flatMap((n, i) =>
    durations.map((d, j) => ({ n, d, loss: predictLoss(truth, n, d) * Math.exp(noise * Math.sin(12.9898 * i + 78.233 * j)) })),
  );
}

describe.skipIf(!hasShared)('the points of Hoffmann et al. as Epoch AI read them (needs ../shared)', () => {
  const rows = readFileSync(sharedPath('scaling', 'epoch-chinchilla', 'svg_extracted_data.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  const points = rows.map((row): ScalingPoint => {
    const [, , , n, flops, , loss] = row.split(',').map(Number);
    return { n: n!, d: flops! / (6 * n!), loss: loss! };
  });
  const reference = JSON.parse(readFileSync(sharedPath('scaling', 'reference_fits.json'), 'utf8')) as {
    epoch_chinchilla: { scipy_refit: Record<'A' | 'B' | 'E' | 'alpha' | 'beta' | 'sum_huber', number> };
  };

  it('give the published fit on 240 rows, whichever starts are used', () => {
    for (const starts of [8, 24]) {
      const fit = fitScalingLaw(points, { dropHighest: 5, replicates: 0, starts });
      const expected = reference.epoch_chinchilla.scipy_refit;
      expect(fit.points).toHaveLength(240);
      expect(fit.dropped).toBe(5);
      expect(Math.abs(fit.objective - 0.00101827)).toBeLessThan(1e-8);
      expect(fit.objective).toBeLessThanOrEqual(expected.sum_huber + 1e-14);
      expect(fit.alpha).toBeCloseTo(0.34731, 4);
      expect(fit.beta).toBeCloseTo(0.36718, 4);
      expect(fit.E).toBeCloseTo(1.8172, 4);
      expect(fit.onBound).toEqual([]);
      expect(fit.starts).toEqual({ screened: 4500, optimised: starts, agreeing: starts });
      expect(fit.interval).toBeUndefined();
    }
  });

  it('show what the five outliers do to beta', () => {
    const fit = fitScalingLaw(points, { replicates: 0, starts: 16 });
    expect(fit.alpha).toBeCloseTo(0.3493, 4);
    expect(fit.beta).toBeCloseTo(0.453, 3);
    expect(fit.E).toBeCloseTo(1.8913, 3);
  });

  it('have intervals near the published ones: α (.317, .373), β (.331, .415), E (1.769, 1.871)', () => {
    const { interval } = fitScalingLaw(points, { dropHighest: 5, replicates: 200, starts: 8 });
    for (const [name, low, high] of [
      ['alpha', 0.317, 0.373],
      ['beta', 0.331, 0.415],
      ['E', 1.769, 1.871],
    ] as const) {
      const width = high - low;
      expect(Math.abs(interval![name][0] - low)).toBeLessThan(0.2 * width);
      expect(Math.abs(interval![name][1] - high)).toBeLessThan(0.2 * width);
    }
  });
});

describe('a small sweep', () => {
  it('without noise gives the law back', () => {
    const fit = fitScalingLaw(sweep(0), { replicates: 20 });
    for (const name of ['A', 'B', 'E', 'alpha', 'beta'] as const) expect(fit[name]).toBeCloseTo(truth[name], 6);
    expect(fit.objective).toBeLessThan(1e-15);
    expect(fit.a).toBeCloseTo(0.35 / 0.75, 8);
  });

  it('with noise has intervals that hold the fit, equal for equal seeds', () => {
    const options = { replicates: 200, seed: 7 };
    const fit = fitScalingLaw(sweep(0.01), options);
    for (const name of ['A', 'B', 'E', 'alpha', 'beta', 'a'] as const) {
      const [low, high] = fit.interval![name];
      expect(low).toBeLessThan(high);
      expect(fit[name]).toBeGreaterThanOrEqual(low);
      expect(fit[name]).toBeLessThanOrEqual(high);
    }
    expect(fit.samples.length + fit.degenerate).toBe(200);
    expect(fitScalingLaw(sweep(0.01), options).interval).toEqual(fit.interval);
    expect(fitScalingLaw(sweep(0.01), { ...options, seed: 8 }).interval).not.toEqual(fit.interval);
    const forecast = predictWithInterval(fit, 2e5, 3.2e4);
    expect(forecast.interval![0]).toBeLessThan(predictLoss(truth, 2e5, 3.2e4) * 1.02);
    expect(forecast.interval![1]).toBeGreaterThan(predictLoss(truth, 2e5, 3.2e4) * 0.98);
  });

  it('says when the points do not determine a parameter', () => {
    const flat = sweep(0).map(({ n, d }) => ({ n, d, loss: 1 + 30 * d ** -0.5 }));
    expect(fitScalingLaw(flat, { replicates: 0 }).onBound).toContain('A');
    const bounded = fitScalingLaw(sweep(0), { replicates: 0, bounds: { alpha: [0.01, 0.3] } });
    expect(bounded.alpha).toBe(0.3);
    expect(bounded.onBound).toEqual(['alpha']);
  });

  it('is fitted whatever the losses are, or refused by name', () => {
    const number = fc.double({ min: 1e-3, max: 1e12, noNaN: true });
    const points = fc.array(fc.record({ n: number, d: number, loss: fc.double({ min: 1e-4, max: 1e3, noNaN: true }) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(points, (runs) => {
        try {
          const fit = fitScalingLaw(runs, { replicates: 2, starts: 4 });
          for (const name of ['E', 'alpha', 'beta', 'a', 'objective', 'rmsLog'] as const)
            expect(fit[name]).toBeGreaterThanOrEqual(0);
          expect(answerSentence(fit, answerForCompute(fit, sixNd, 1e15))).toMatch(/^For this data/);
        } catch (error) {
          if (!(error instanceof ScalingLawError)) throw error;
        }
      }),
      { numRuns: 60 },
    );
    const same = fitScalingLaw(
      sweep(0).map(({ n, d }) => ({ n, d, loss: 2 })),
      { replicates: 5 },
    );
    expect(predictLoss(same, 1e4, 1e4)).toBeCloseTo(2, 4);
    expect(same.onBound.length).toBeGreaterThan(0);
  });

  it.each<[string, () => ScalingPoint[], object, RegExp]>([
    ['too-few-points', () => sweep(0).slice(0, 4), {}, /4 points cannot fix 5/],
    ['too-few-points', () => sweep(0), { dropHighest: 9 }, /9 dropped as highest/],
    ['too-few-points', () => [], {}, /0 points/],
    ['bad-point', () => [...sweep(0), { n: 1, d: 1, loss: NaN }], {}, /Point 12 has loss = NaN/],
    ['bad-point', () => [...sweep(0), { n: 0, d: 1, loss: 1 }], {}, /n = 0/],
    ['one-size', () => sweep(0, [1e4], [1, 2, 3, 4, 5, 6]), {}, /10000 parameters/],
    ['one-duration', () => sweep(0, [1, 2, 3, 4, 5, 6], [1e4]), {}, /10000 samples/],
    ['bad-option', () => sweep(0), { delta: 0 }, /delta/],
    ['bad-option', () => sweep(0), { replicates: 1.5 }, /replicates/],
    ['bad-option', () => sweep(0), { level: 1 }, /level/],
    ['bad-option', () => sweep(0), { dropHighest: -1 }, /dropHighest/],
  ])('is refused as %s', (problem, points, options, message) => {
    const fit = (): unknown => fitScalingLaw(points(), options);
    expect(fit).toThrow(message);
    expect(fit).toThrow(ScalingLawError);
    try {
      fit();
    } catch (error) {
      expect((error as ScalingLawError).problem).toBe(problem);
    }
  });
});

describe('the objective', () => {
  it('has the gradient that differences give', () => {
    const problem = centredProblem(sweep(0.02), 1e-3, defaultBounds);
    const objective = problem.objective(sweep(0).map((_, i) => i % 3));
    const x = problem.centre([3, 3, 0.1, 0.45, 0.3]);
    const gradient = new Float64Array(5);
    objective(x, gradient);
    x.forEach((_, i) => {
      const at = (step: number): number =>
        objective(
          x.map((xi, k) => (k === i ? xi + step : xi)),
          new Float64Array(5),
        );
      expect((at(1e-6) - at(-1e-6)) / 2e-6).toBeCloseTo(gradient[i]!, 5);
    });
  });
});

describe('minimise', () => {
  const box = { lower: [-5, -5], upper: [5, 5] };
  const rosenbrock = (x: Float64Array, gradient: Float64Array): number => {
    const [u, v] = x as unknown as [number, number];
    gradient[0] = -400 * u * (v - u * u) - 2 * (1 - u);
    gradient[1] = 200 * (v - u * u);
    return 100 * (v - u * u) ** 2 + (1 - u) ** 2;
  };

  it('finds the end of a curved valley', () => {
    const { x } = minimise(rosenbrock, [-1.2, 1], box);
    expect(x[0]).toBeCloseTo(1, 6);
    expect(x[1]).toBeCloseTo(1, 6);
  });

  it('stops at a bound, at the best place along it', () => {
    const { x } = minimise(rosenbrock, [-1.2, -3], { lower: [-5, -5], upper: [0.5, 5] });
    expect(x[0]).toBe(0.5);
    expect(x[1]).toBeCloseTo(0.25, 6);
  });

  it('finds a corner where the slope jumps', () => {
    const corner = (x: Float64Array, gradient: Float64Array): number => {
      gradient[0] = Math.sign(x[0]! - 0.3);
      gradient[1] = 3 * Math.sign(x[1]! + 0.7);
      return Math.abs(x[0]! - 0.3) + 3 * Math.abs(x[1]! + 0.7);
    };
    expect(minimise(corner, [4, 4], box).value).toBeLessThan(1e-6);
  });
});

describe('the answer for a budget', () => {
  it('is the best split of the compute: no other size does better', () => {
    for (const cost of [sixNd, { factor: 40, power: 0.8 }]) {
      const { n, d, loss } = computeOptimum(truth, cost, 1e12);
      expect(cost.factor * n ** cost.power * d).toBeCloseTo(1e12, -2);
      for (const factor of [0.5, 0.9, 0.999, 1.001, 1.1, 2]) {
        const other = n * factor;
        expect(predictLoss(truth, other, 1e12 / (cost.factor * other ** cost.power))).toBeGreaterThan(loss);
      }
    }
  });

  it('takes the cost law from the sizes', () => {
    const cost = fitCostLaw([1e3, 1e4, 1e5].map((n) => ({ n, flopsPerSample: 12 * n ** 0.9 })));
    expect(cost.factor).toBeCloseTo(12, 8);
    expect(cost.power).toBeCloseTo(0.9, 10);
    expect(() => fitCostLaw([{ n: 1, flopsPerSample: 6 }])).toThrow(/two sizes/);
  });

  it('says so in words, with interval and limits', () => {
    const fit = fitScalingLaw(sweep(0.01), { replicates: 100 });
    const inside = answerForCompute(fit, sixNd, 6 * 3e4 * 1e4);
    expect(inside.within).toBe(true);
    expect([5e3, 2e4, 6e4, 2e5]).toContain(inside.nearestSize);
    expect(inside.interval!.n[0]).toBeLessThanOrEqual(inside.n);
    expect(answerSentence(fit, inside)).toMatch(
      /^For this data and 1\.8e9 FLOP, train [\d,]+ parameters \(95 % interval [\d,]+ to [\d,]+\) for [\d,]+ pairs \(.*\); the law foretells a loss of \d\.\d{3} \(.*\)\.$/,
    );
    expect(answerSentence(fit, answerForCompute(fit, sixNd, 1e18))).toContain('extrapolation');
    const runaway = (n: readonly [number, number], d: readonly [number, number]): string => answerSentence(fit, { ...inside, interval: { ...inside.interval!, n, d } });
    expect(runaway([1e-92, 17_800], [5940, 6e102])).toMatch(/parameters \(95 % interval up to 17,800, open below\) for [\d,]+ pairs \(95 % interval from 5,940, open above\)/);
    expect(runaway([0, Infinity], [NaN, 1e4])).toMatch(/parameters \(95 % interval open on both sides\) for [\d,]+ pairs \(95 % interval up to 10,000, open below\)/);
    expect(() => answerForCompute(fit, sixNd, 0)).toThrow(/Compute is 0/);
  });
});

describe('IsoFLOP parabolas', () => {
  it('find the bottom of each budget and the exponents', () => {
    const runs = [1e10, 1e11, 1e12].flatMap((compute) => {
      const best = 3 * compute ** 0.45;
      return [0.25, 0.5, 1, 2, 4].map((factor) => {
        const n = best * factor;
        return { n, d: compute / (6 * n), loss: 2 + 0.05 * Math.log(factor) ** 2, compute: compute * (1 + 0.004 * factor) };
      });
    });
    const { budgets, exponents } = isoFlop(runs);
    expect(budgets).toHaveLength(3);
    budgets.forEach(({ optimum }, i) => {
      expect(optimum!.n / (3 * (10 ** (10 + i)) ** 0.45)).toBeCloseTo(1, 6);
      expect(optimum!.loss).toBeCloseTo(2, 8);
    });
    expect(exponents!.n).toBeCloseTo(0.45, 5);
    expect(exponents!.d).toBeCloseTo(0.55, 5);
  });

  it('refuse a minimum at an edge, a hill, and two sizes', () => {
    const budget = (losses: readonly number[]): ReturnType<typeof isoFlop> =>
      isoFlop(losses.map((loss, i) => ({ n: 10 ** (3 + i), d: 1, loss, compute: 1e9 })));
    expect(budget([3, 2, 1.5]).budgets[0]!.reason).toBe('minimum at an edge');
    expect(budget([1, 2, 1]).budgets[0]!.reason).toBe('no minimum');
    expect(budget([1, 2]).budgets[0]!.reason).toBe('fewer than three sizes');
    expect(budget([3, 1, 2]).exponents).toBeUndefined();
  });
});
