/** What a fitted law says about a budget of compute: which size to train, and for how many samples. */
import { type Interval, percentileInterval } from '../percentile.ts';
import { type ChinchillaParameters, predictLoss } from './chinchilla.ts';
import type { ScalingLawFit } from './fit.ts';
import { ScalingLawError } from './points.ts';

/** FLOP to train on one sample as a power law of the number of parameters: `factor · N^power`. */
export interface CostLaw {
  readonly factor: number;
  readonly power: number;
}

/** Transformers on tokens: 6·N FLOP a token. */
export const sixNd: CostLaw = { factor: 6, power: 1 };

/**
 * The cost law of measured sizes, by least squares on logs. Costs are FLOP a pair: 6 · multiply–accumulates of a forward pass
 * (2 FLOP each, backward twice forward).
 * @throws ScalingLawError when there are fewer than two sizes.
 */
export function fitCostLaw(sizes: readonly { readonly n: number; readonly flopsPerSample: number }[]): CostLaw {
  const costs = new Map(sizes.map(({ n, flopsPerSample }) => [n, flopsPerSample]));
  if (costs.size < 2) throw new ScalingLawError('one-size', 'A cost law needs two sizes at least.');
  const xs = [...costs.keys()].map(Math.log);
  const ys = [...costs.values()].map(Math.log);
  const mx = mean(xs);
  const my = mean(ys);
  const power = xs.reduce((sum, x, i) => sum + (x - mx) * (ys[i]! - my), 0) / xs.reduce((sum, x) => sum + (x - mx) ** 2, 0);
  return { factor: Math.exp(my - power * mx), power };
}

export interface ComputeOptimum {
  /** FLOP. */
  readonly compute: number;
  readonly n: number;
  readonly d: number;
  readonly loss: number;
}

export interface ComputeAnswer extends ComputeOptimum {
  readonly interval?: { readonly n: Interval; readonly d: Interval; readonly loss: Interval };
  /** Whether the optimum lies among the sizes that were fitted, or beyond them. */
  readonly within: boolean;
  /** The fitted size that is nearest on a log scale. */
  readonly nearestSize: number;
}

/**
 * The size and number of samples with the lowest loss at `compute` FLOP, when a sample costs `factor·N^power`: with
 * D = C / (factor·N^power), dL/dN = 0 gives N^(α + power·β) = αA / (power·β·B) · (C / factor)^β.
 */
export function computeOptimum(law: ChinchillaParameters, cost: CostLaw, compute: number): ComputeOptimum {
  const { A, B, alpha, beta } = law;
  const { factor, power } = cost;
  const n = Math.exp((Math.log((alpha * A) / (power * beta * B)) + beta * Math.log(compute / factor)) / (alpha + power * beta));
  const d = compute / (factor * n ** power);
  return { compute, n, d, loss: predictLoss(law, n, d) };
}

/** The optimum with percentile intervals over the fit's replicates. */
export function answerForCompute(fit: ScalingLawFit, cost: CostLaw, compute: number): ComputeAnswer {
  if (!(compute > 0 && Number.isFinite(compute)))
    throw new ScalingLawError('bad-option', `Compute is ${compute}; it must be positive FLOP.`);
  const optimum = computeOptimum(fit, cost, compute);
  const replicates = fit.samples.map((sample) => computeOptimum(sample, cost, compute));
  const sizes = [...new Set(fit.points.map(({ n }) => n))].sort((a, b) => a - b);
  const distance = (n: number): number => Math.abs(Math.log(n / optimum.n));
  const of = (key: 'n' | 'd' | 'loss'): Interval =>
    percentileInterval(
      replicates.map((replicate) => replicate[key]),
      fit.level,
    );
  return {
    ...optimum,
    ...(replicates.length > 0 ? { interval: { n: of('n'), d: of('d'), loss: of('loss') } } : {}),
    within: optimum.n >= sizes[0]! && optimum.n <= sizes.at(-1)!,
    nearestSize: sizes.reduce((best, n) => (distance(n) < distance(best) ? n : best)),
  };
}

/** Loss foretold for a size and a number of samples, with a percentile interval over the fit's replicates. */
export function predictWithInterval(fit: ScalingLawFit, n: number, d: number): { loss: number; interval?: Interval } {
  const interval =
    fit.samples.length > 0
      ? percentileInterval(
          fit.samples.map((sample) => predictLoss(sample, n, d)),
          fit.level,
        )
      : undefined;
  return { loss: predictLoss(fit, n, d), ...(interval === undefined ? {} : { interval }) };
}

/** The answer as one sentence, with what limits it. */
export function answerSentence(fit: ScalingLawFit, answer: ComputeAnswer): string {
  const between = (interval: Interval | undefined, write: (value: number) => string, fitted: readonly number[] = []): string =>
    interval === undefined ? '' : ` (${Math.round(100 * fit.level)} % interval ${withOpenEnds(interval, write, fitted)})`;
  const { interval } = answer;
  const limits: string[] = [];
  if (!answer.within) limits.push('beyond the sizes fitted, so an extrapolation');
  if (fit.onBound.length > 0) limits.push(`${fit.onBound.join(', ')} on a bound, so the points do not determine the law`);
  return (
    `For this data and ${scientific(answer.compute)} FLOP, train ${count(answer.n)} parameters${between(interval?.n, count, fit.points.map(({ n }) => n))} ` +
    `for ${count(answer.d)} pairs${between(interval?.d, count, fit.points.map(({ d }) => d))}; the law foretells a loss of ${loss(answer.loss)}` +
    `${between(interval?.loss, loss)}${limits.length > 0 ? `; ${limits.join('; ')}` : ''}.`
  );
}

/** An end more than a thousand times beyond all that was fitted is where the bootstrap's laws run away, and no number worth reading. */
function withOpenEnds([low, high]: Interval, write: (value: number) => string, fitted: readonly number[]): string {
  const below = fitted.length > 0 && !(low >= Math.min(...fitted) / 1000);
  const above = fitted.length > 0 && !(high <= Math.max(...fitted) * 1000);
  if (below && above) return 'open on both sides';
  if (below) return `up to ${write(high)}, open below`;
  return above ? `from ${write(low)}, open above` : `${write(low)} to ${write(high)}`;
}

function loss(value: number): string {
  return value.toFixed(3);
}

/** Three significant digits, plain up to a billion. */
function count(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return value < 1e9 && value >= 1 ? Number(value.toPrecision(3)).toLocaleString('en-US') : scientific(value);
}

function scientific(value: number): string {
  return value.toExponential(2).replace(/\.?0*e\+?/, 'e');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
