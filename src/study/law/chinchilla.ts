/**
 * `L(N, D) = E + A·N^-α + B·D^-β` (Hoffmann et al. 2022, approach 3) and its objective: the Huber loss of
 * `logsumexp(a − α ln N, b − β ln D, e) − ln L`, summed over the points.
 */
import type { Box, Objective } from './minimise.ts';
import type { ScalingPoint } from './points.ts';

export interface ChinchillaParameters {
  readonly A: number;
  readonly B: number;
  /** Loss that no size and no data remove, in nats. */
  readonly E: number;
  readonly alpha: number;
  readonly beta: number;
}

/** Limits of a fit, `[lower, upper]`. */
export interface ParameterBounds {
  readonly alpha: readonly [number, number];
  readonly beta: readonly [number, number];
  /** As a share of the smallest loss of the points. */
  readonly E: readonly [number, number];
  /** The terms `A·N^-α` and `B·D^-β` at the points' geometric mean, as a share of the median loss. */
  readonly term: readonly [number, number];
}

export const defaultBounds: ParameterBounds = { alpha: [0.001, 4], beta: [0.001, 4], E: [1e-3, 1], term: [1e-6, 100] };

/** The loss that the law foretells for `n` parameters and `d` samples. */
export function predictLoss({ A, B, E, alpha, beta }: ChinchillaParameters, n: number, d: number): number {
  return E + A * n ** -alpha + B * d ** -beta;
}

/**
 * The problem in centred coordinates `[a', b', e, α, β]` with `a' = a − α·mean(ln N)` and `b' = b − β·mean(ln D)`: without
 * centring, a and α are so correlated that quasi-Newton steps creep.
 */
export interface CentredProblem {
  readonly box: Box;
  /** Σ weight·Huber / delta, with its gradient. */
  objective(weights?: ArrayLike<number>): Objective;
  /** From `[a, b, e, α, β]`. */
  centre(raw: readonly number[]): Float64Array;
  parameters(x: Float64Array): ChinchillaParameters;
  /** Names of the parameters that sit on a bound. */
  onBound(x: Float64Array): string[];
}

export function centredProblem(points: readonly ScalingPoint[], delta: number, bounds: ParameterBounds): CentredProblem {
  const logN = points.map(({ n }) => Math.log(n));
  const logD = points.map(({ d }) => Math.log(d));
  const meanN = mean(logN);
  const meanD = mean(logD);
  const x1 = Float64Array.from(logN, (value) => value - meanN);
  const x2 = Float64Array.from(logD, (value) => value - meanD);
  const target = Float64Array.from(points, ({ loss }) => Math.log(loss));
  const sorted = target.slice().sort();
  const median = sorted[sorted.length >> 1]!;
  const lowest = sorted[0]!;
  const term = bounds.term.map((share) => median + Math.log(share));
  const floor = bounds.E.map((share) => lowest + Math.log(share));
  const box = {
    lower: [term[0]!, term[0]!, floor[0]!, bounds.alpha[0], bounds.beta[0]],
    upper: [term[1]!, term[1]!, floor[1]!, bounds.alpha[1], bounds.beta[1]],
  };
  const objective =
    (weights?: ArrayLike<number>): Objective =>
    (x, gradient) => {
      const [a, b, e, alpha, beta] = x as unknown as [number, number, number, number, number];
      let sum = 0;
      let ga = 0;
      let gb = 0;
      let ge = 0;
      let gAlpha = 0;
      let gBeta = 0;
      for (let i = 0; i < target.length; i += 1) {
        const weight = weights === undefined ? 1 : weights[i]!;
        if (weight === 0) continue;
        const u = a - alpha * x1[i]!;
        const v = b - beta * x2[i]!;
        const top = Math.max(u, v, e);
        const p = Math.exp(u - top);
        const q = Math.exp(v - top);
        const r = Math.exp(e - top);
        const total = p + q + r;
        const residual = top + Math.log(total) - target[i]!;
        const size = Math.abs(residual);
        sum += weight * (size <= delta ? (0.5 * residual * residual) / delta : size - 0.5 * delta);
        const slope = (weight * (size <= delta ? residual / delta : Math.sign(residual))) / total;
        ga += slope * p;
        gb += slope * q;
        ge += slope * r;
        gAlpha -= slope * p * x1[i]!;
        gBeta -= slope * q * x2[i]!;
      }
      gradient[0] = ga;
      gradient[1] = gb;
      gradient[2] = ge;
      gradient[3] = gAlpha;
      gradient[4] = gBeta;
      return sum;
    };
  return {
    box,
    objective,
    centre: ([a = 0, b = 0, e = 0, alpha = 0, beta = 0]) => Float64Array.of(a - alpha * meanN, b - beta * meanD, e, alpha, beta),
    parameters: (x) => ({
      A: Math.exp(x[0]! + x[3]! * meanN),
      B: Math.exp(x[1]! + x[4]! * meanD),
      E: Math.exp(x[2]!),
      alpha: x[3]!,
      beta: x[4]!,
    }),
    onBound: (x) =>
      ['A', 'B', 'E', 'alpha', 'beta'].filter((_, i) => {
        const slack = 1e-6 * (box.upper[i]! - box.lower[i]!);
        return x[i]! <= box.lower[i]! + slack || x[i]! >= box.upper[i]! - slack;
      }),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
