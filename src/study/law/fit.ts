/** Fits the scaling law to training runs, with intervals by bootstrap over runs and folds. */
import { type Interval, percentileInterval } from '../percentile.ts';
import { bootstrapParameters } from './bootstrap.ts';
import { type ChinchillaParameters, type ParameterBounds, centredProblem, defaultBounds, predictLoss } from './chinchilla.ts';
import { type Minimum, minimise } from './minimise.ts';
import { ScalingLawError, type ScalingPoint, usablePoints } from './points.ts';

export interface ScalingLawOptions {
  /** Where the Huber loss on log loss turns from squares to absolute values; default 1e-3. */
  readonly delta?: number;
  /** Leaves out the points with the highest losses; default 0. */
  readonly dropHighest?: number;
  /** Bootstrap replicates; 0 for no intervals; default 1,000. */
  readonly replicates?: number;
  /** Seed of the bootstrap; default 1. */
  readonly seed?: number;
  /** Share of replicates inside the intervals; default 0.95. */
  readonly level?: number;
  readonly bounds?: Partial<ParameterBounds>;
  /** How many of the grid's 4,500 starts are optimised, the best by objective first; `all` takes seconds to a minute. Default 48. */
  readonly starts?: number | 'all';
}

export type LawQuantity = keyof ChinchillaParameters | 'a';

export interface ScalingLawFit extends ChinchillaParameters {
  /** Exponent of the optimal size when compute is proportional to N·D: β/(α+β). */
  readonly a: number;
  /** Σ Huber of the residuals of log loss. */
  readonly objective: number;
  /** Intervals of each parameter and of `a`; absent without replicates. */
  readonly interval?: Readonly<Record<LawQuantity, Interval>>;
  /** Parameters that sit on a bound: the points do not determine them. */
  readonly onBound: readonly string[];
  /** The points fitted. */
  readonly points: readonly ScalingPoint[];
  readonly dropped: number;
  /** Root mean square of ln(predicted / observed). */
  readonly rmsLog: number;
  /** Starts screened and optimised, and how many of those ended within 1e-6 of the best objective. */
  readonly starts: { readonly screened: number; readonly optimised: number; readonly agreeing: number };
  /** Parameters of each bootstrap replicate that could be fitted; of the others there are `degenerate`. */
  readonly samples: readonly ChinchillaParameters[];
  readonly degenerate: number;
  readonly delta: number;
  readonly level: number;
}

/**
 * Fits `L = E + A·N^-α + B·D^-β` by Huber loss on log loss, from the grid of starts of Hoffmann et al. (2022):
 * α, β ∈ {0, ½, 1, 1½, 2}, e ∈ {−1, −½, 0, ½, 1}, a, b ∈ {0, 5, …, 25}. Deterministic for equal options.
 * @throws ScalingLawError for fewer points than parameters, numbers that are not finite and positive, or points that all
 * have one size or one number of samples.
 */
export function fitScalingLaw(points: readonly ScalingPoint[], options: ScalingLawOptions = {}): ScalingLawFit {
  const { delta = 1e-3, dropHighest = 0, replicates = 1000, seed = 1, level = 0.95, starts = 48 } = options;
  if (!(delta > 0 && Number.isFinite(delta))) throw new ScalingLawError('bad-option', `delta is ${delta}; it must be positive.`);
  if (!(level > 0 && level < 1)) throw new ScalingLawError('bad-option', `level is ${level}; it must lie between 0 and 1.`);
  if (!(Number.isInteger(replicates) && replicates >= 0)) {
    throw new ScalingLawError('bad-option', `replicates is ${replicates}; it must be a whole number from 0.`);
  }
  const kept = usablePoints(points, dropHighest);
  const problem = centredProblem(kept, delta, { ...defaultBounds, ...options.bounds });
  const objective = problem.objective();

  const grid = startGrid().map((raw) => clamp(problem.centre(raw), problem.box));
  const chosen = starts === 'all' ? grid : screen(grid, objective, starts);
  const minima = chosen.map((start) => minimise(objective, start, problem.box)).sort((p, q) => p.value - q.value);
  const best = minima[0];
  if (best === undefined || !Number.isFinite(best.value)) {
    throw new ScalingLawError('no-fit', 'No start led to a finite objective; check the scale of the losses.');
  }

  const { samples, degenerate } = bootstrapParameters(kept, problem, warmStarts(minima), replicates, seed);
  const parameters = problem.parameters(best.x);
  const residuals = kept.map(({ n, d, loss }) => Math.log(predictLoss(parameters, n, d) / loss));
  return {
    ...parameters,
    a: sizeExponent(parameters),
    objective: best.value * delta,
    ...(samples.length > 0 ? { interval: intervals(samples, level) } : {}),
    onBound: problem.onBound(best.x),
    points: kept,
    dropped: points.length - kept.length,
    rmsLog: Math.sqrt(residuals.reduce((sum, r) => sum + r * r, 0) / kept.length),
    starts: {
      screened: grid.length,
      optimised: chosen.length,
      agreeing: minima.filter(({ value }) => value - best.value <= 1e-6 * Math.abs(best.value) + 1e-12).length,
    },
    samples,
    degenerate,
    delta,
    level,
  };
}

/** Exponent of the optimal size in compute when compute is proportional to N·D. */
export function sizeExponent({ alpha, beta }: ChinchillaParameters): number {
  return beta / (alpha + beta);
}

function intervals(samples: readonly ChinchillaParameters[], level: number): Record<LawQuantity, Interval> {
  const of = (quantity: (sample: ChinchillaParameters) => number): Interval => percentileInterval(samples.map(quantity), level);
  return {
    A: of((s) => s.A),
    B: of((s) => s.B),
    E: of((s) => s.E),
    alpha: of((s) => s.alpha),
    beta: of((s) => s.beta),
    a: of(sizeExponent),
  };
}

function startGrid(): number[][] {
  const exponents = [0, 0.5, 1, 1.5, 2];
  const offsets = [0, 5, 10, 15, 20, 25];
  const grid: number[][] = [];
  for (const alpha of exponents) {
    for (const beta of exponents) {
      for (const e of [-1, -0.5, 0, 0.5, 1]) {
        for (const a of offsets) for (const b of offsets) grid.push([a, b, e, alpha, beta]);
      }
    }
  }
  return grid;
}

/** The best starts by objective: half of them overall, half the best of each pair of exponents, so that all basins are tried. */
function screen(
  grid: readonly Float64Array[],
  objective: ReturnType<ReturnType<typeof centredProblem>['objective']>,
  count: number,
): Float64Array[] {
  const scratch = new Float64Array(5);
  const ranked = grid.map((x) => ({ x, value: objective(x, scratch) })).sort((p, q) => p.value - q.value);
  const exponents = new Set<string>();
  const leaders = ranked.filter(({ x }) => {
    const key = `${x[3]},${x[4]}`;
    return exponents.has(key) ? false : exponents.add(key);
  });
  const chosen = new Set([...leaders.slice(0, Math.ceil(count / 2)), ...ranked]);
  return [...chosen].slice(0, Math.max(1, count)).map(({ x }) => x);
}

/** The best minimum and the next two that differ from it, as starts of the replicates. */
function warmStarts(minima: readonly Minimum[]): Float64Array[] {
  const starts: Float64Array[] = [];
  for (const { x } of minima) {
    if (starts.length < 3 && starts.every((known) => x.some((xi, i) => Math.abs(xi - known[i]!) > 0.05))) starts.push(x);
  }
  return starts;
}

function clamp(x: Float64Array, box: { lower: ArrayLike<number>; upper: ArrayLike<number> }): Float64Array {
  return x.map((xi, i) => Math.min(box.upper[i]!, Math.max(box.lower[i]!, xi)));
}
