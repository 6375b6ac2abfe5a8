/** The runs a law is fitted to, and what makes them unfit. */

/** One training run. */
export interface ScalingPoint {
  /** Parameters of the model. */
  readonly n: number;
  /** Samples seen: tokens, or image–text pairs. */
  readonly d: number;
  /** Loss at the end, in nats. */
  readonly loss: number;
  /** What it was tested on, where runs differ in that: a fold. */
  readonly block?: string;
}

export type ScalingLawProblem = 'too-few-points' | 'bad-point' | 'one-size' | 'one-duration' | 'bad-option' | 'no-fit';

/** Why no law can be fitted; `problem` names the kind. */
export class ScalingLawError extends Error {
  override readonly name = 'ScalingLawError';
  readonly problem: ScalingLawProblem;

  constructor(problem: ScalingLawProblem, message: string) {
    super(message);
    this.problem = problem;
  }
}

/** Parameters of `E + A·N^-α + B·D^-β`. */
export const parameterCount = 5;

/**
 * Checks points and applies the outlier policy: with `dropHighest` = k > 0 only losses below the k-th largest are kept, so
 * that ties with it go too (Besiroglu et al. 2024 drop the five highest of 245).
 * @throws ScalingLawError
 */
export function usablePoints(points: readonly ScalingPoint[], dropHighest: number): ScalingPoint[] {
  points.forEach((point, index) => {
    for (const name of ['n', 'd', 'loss'] as const) {
      const value = point[name];
      if (!(Number.isFinite(value) && value > 0)) {
        throw new ScalingLawError(
          'bad-point',
          `Point ${index} has ${name} = ${String(value)}; a law needs finite, positive numbers.`,
        );
      }
    }
  });
  if (!Number.isInteger(dropHighest) || dropHighest < 0) {
    throw new ScalingLawError('bad-option', `dropHighest is ${dropHighest}; it must be a whole number from 0.`);
  }
  const limit =
    dropHighest === 0 ? Infinity : (points.map(({ loss }) => loss).sort((a, b) => b - a)[dropHighest - 1] ?? -Infinity);
  const kept = points.filter(({ loss }) => loss < limit);
  if (kept.length < parameterCount) {
    const dropped = kept.length < points.length ? ` (${points.length - kept.length} dropped as highest)` : '';
    throw new ScalingLawError(
      'too-few-points',
      `${kept.length} points${dropped} cannot fix ${parameterCount} parameters; run more cells.`,
    );
  }
  if (new Set(kept.map(({ n }) => n)).size < 2) {
    throw new ScalingLawError(
      'one-size',
      `All points have ${kept[0]?.n} parameters: nothing shows how the loss falls with size.`,
    );
  }
  if (new Set(kept.map(({ d }) => d)).size < 2) {
    throw new ScalingLawError(
      'one-duration',
      `All points have seen ${kept[0]?.d} samples: nothing shows how the loss falls with data.`,
    );
  }
  return kept;
}
