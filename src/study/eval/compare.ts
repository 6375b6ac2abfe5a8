/** One kind of model against a reference kind, run by run: what differs but the seed and the fold is what is compared. */
import { studentT, studentTwoSided } from './student-t.ts';

export interface ComparedRun {
  /** What the run shares with its partner: seed, fold, size. */
  readonly block: string;
  readonly value: number;
}

export interface Comparison {
  readonly runs: number;
  readonly mean: number;
  /** Ends of the interval of the mean; NaN with a single run. */
  readonly low: number;
  readonly high: number;
  /** Mean of the differences to the reference's run of the same block, and the ends of its interval. */
  readonly difference: number;
  readonly differenceLow: number;
  readonly differenceHigh: number;
  /** Two-sided, of the paired t test; 1 for the reference itself, NaN with fewer than two pairs. */
  readonly p: number;
}

/**
 * Means with Student intervals. Runs are paired by block; one without a partner counts for the mean alone.
 * `overlap` is the ratio of test to training cases where runs are folds of one data set, whose training cases overlap: the variance
 * of the mean is then (1/k + overlap) s² instead of s²/k (Nadeau and Bengio, 2003).
 */
export function compareRuns(
  runs: readonly ComparedRun[],
  reference: readonly ComparedRun[],
  { level = 0.95, overlap = 0 }: { readonly level?: number; readonly overlap?: number } = {},
): Comparison {
  const partner = new Map(reference.map(({ block, value }) => [block, value]));
  const differences = runs.flatMap(({ block, value }) => {
    const other = partner.get(block);
    return other === undefined ? [] : [value - other];
  });
  const own = meanInterval(runs.map(({ value }) => value), level, overlap);
  const paired = meanInterval(differences, level, overlap);
  const p =
    differences.length < 2 ? NaN : paired.error === 0 ? (paired.mean === 0 ? 1 : 0) : 2 * studentT(-Math.abs(paired.mean / paired.error), differences.length - 1);
  return {
    runs: runs.length,
    mean: own.mean,
    low: own.low,
    high: own.high,
    difference: paired.mean,
    differenceLow: paired.low,
    differenceHigh: paired.high,
    p,
  };
}

function meanInterval(values: readonly number[], level: number, overlap: number): { mean: number; low: number; high: number; error: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { mean, low: NaN, high: NaN, error: NaN };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const error = Math.sqrt((1 / count + overlap) * variance);
  const half = studentTwoSided(level, count - 1) * error;
  return { mean, low: mean - half, high: mean + half, error };
}
