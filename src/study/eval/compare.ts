/** One kind of model against a reference kind, run by run: what differs but the seed and the fold is what is compared. */
import { studentT, studentTwoSided } from './student-t.ts';

export interface ComparedRun {
  /** What the run shares with its partner: seed, fold, size. */
  readonly block: string;
  /** The fold of the data that it was tested on, where there are several. */
  readonly fold?: string;
  readonly value: number;
}

export interface Comparison {
  readonly runs: number;
  /** Different folds among them; 1 where there are none. */
  readonly folds: number;
  readonly mean: number;
  /** Ends of the interval of the mean; NaN with a single run. */
  readonly low: number;
  readonly high: number;
  /** Mean of the differences to the reference's run of the same block, and the ends of its interval. */
  readonly difference: number;
  readonly differenceLow: number;
  readonly differenceHigh: number;
  /** Two-sided, of the paired t test (of the sign test where all differences are equal); 1 for the reference itself, NaN with fewer than two pairs. */
  readonly p: number;
}

/**
 * Means with Student intervals. Runs are paired by block; one without a partner counts for the mean alone.
 * Where runs are of several folds, those of one fold (its seeds) are averaged first, since they share their test cases, and the
 * interval is over folds. `overlap` is then the ratio of test to training cases: training cases of folds overlap, and the variance of
 * the mean is (1/k + overlap) s² instead of s²/k (Nadeau and Bengio, 2003). With one fold or none, runs count each and nothing overlaps.
 */
export function compareRuns(
  runs: readonly ComparedRun[],
  reference: readonly ComparedRun[],
  { level = 0.95, overlap = 0 }: { readonly level?: number; readonly overlap?: number } = {},
): Comparison {
  const partner = new Map(reference.map(({ block, value }) => [block, value]));
  const folds = new Set(runs.map(({ fold }) => fold)).size;
  const differences = valuesOfUnits(
    runs.flatMap(({ block, value, fold }) => {
      const other = partner.get(block);
      return other === undefined ? [] : [{ value: value - other, fold }];
    }),
    folds > 1,
  );
  const shared = folds > 1 ? overlap : 0;
  const own = meanInterval(valuesOfUnits(runs, folds > 1), level, shared);
  const paired = meanInterval(differences, level, shared);
  return {
    runs: runs.length,
    folds,
    mean: own.mean,
    low: own.low,
    high: own.high,
    difference: paired.mean,
    differenceLow: paired.low,
    differenceHigh: paired.high,
    p: pairedP(paired, differences.length),
  };
}

/** The t test's; where all differences are one number, which recall in small pools can well be, there is no t, and it is the sign test's. */
function pairedP({ mean, error }: { readonly mean: number; readonly error: number }, count: number): number {
  if (count < 2) return NaN;
  if (mean === 0 && error === 0) return 1;
  return error <= 1e-9 * Math.abs(mean) ? 2 ** (1 - count) : 2 * studentT(-Math.abs(mean / error), count - 1);
}

/** What the interval is over: means of folds, or the values themselves. */
function valuesOfUnits(runs: readonly { readonly value: number; readonly fold?: string | undefined }[], byFold: boolean): number[] {
  if (!byFold) return runs.map(({ value }) => value);
  return [...new Set(runs.map(({ fold }) => fold))].map((of) => {
    const own = runs.filter(({ fold }) => fold === of);
    return own.reduce((sum, { value }) => sum + value, 0) / own.length;
  });
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
