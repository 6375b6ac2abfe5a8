/** Whether one model is better than another on the same cases: paired tests that respect groups. */
import { randomOf } from '../data/random.ts';
import { type Interval, percentileInterval } from '../percentile.ts';

export interface PairedDifference {
  /** Mean of a less mean of b, over cases. */
  readonly difference: number;
  readonly interval: Interval;
  /** Two-sided: 2 · min(P(Δ ≤ 0), P(Δ ≥ 0)), at most 1 and at least one replicate's share. */
  readonly p: number;
  readonly groups: number;
}

export interface BootstrapOptions {
  /** Default 10,000. */
  readonly replicates?: number;
  /** Default 0.95. */
  readonly level?: number;
  /** Default 1. */
  readonly seed?: number;
}

/**
 * Bootstrap of the mean difference of two models' scores on the same cases: whole groups (articles, cases, images) are drawn
 * with replacement, since cases of one group are not independent.
 * @param a scores of one model, `[cases]`
 * @param b scores of the other, `[cases]`
 * @param groups the group of each case, `[cases]`
 * @throws RangeError when the lists differ in length or are empty
 */
export function pairedBootstrap(a: ArrayLike<number>, b: ArrayLike<number>, groups: readonly string[], options: BootstrapOptions = {}): PairedDifference {
  const { replicates = 10_000, level = 0.95, seed = 1 } = options;
  if (a.length !== b.length || a.length !== groups.length || a.length === 0) {
    throw new RangeError(`${a.length} and ${b.length} scores of ${groups.length} cases cannot be paired`);
  }
  const place = new Map<string, number>();
  for (const group of groups) if (!place.has(group)) place.set(group, place.size);
  const sums = new Float64Array(place.size);
  const counts = new Float64Array(place.size);
  groups.forEach((group, i) => {
    sums[place.get(group)!]! += a[i]! - b[i]!;
    counts[place.get(group)!]! += 1;
  });
  const random = randomOf('paired bootstrap', seed);
  const differences = Array.from({ length: replicates }, () => {
    let sum = 0;
    let count = 0;
    for (let draw = 0; draw < sums.length; draw++) {
      const group = random.below(sums.length);
      sum += sums[group]!;
      count += counts[group]!;
    }
    return sum / count;
  });
  const share = (holds: (value: number) => boolean): number => differences.filter(holds).length / replicates;
  const p = 2 * Math.min(share((value) => value <= 0), share((value) => value >= 0));
  return {
    difference: sums.reduce((sum, value) => sum + value, 0) / a.length,
    interval: percentileInterval(differences, level),
    p: Math.min(1, Math.max(p, 1 / replicates)),
    groups: place.size,
  };
}

/**
 * McNemar's exact test on right and wrong answers to the same questions: the two-sided binomial probability of the discordant
 * pairs being split as unevenly as they are. 1 when no answer differs.
 */
export function mcNemar(a: ArrayLike<boolean>, b: ArrayLike<boolean>): number {
  if (a.length !== b.length) throw new RangeError(`${a.length} and ${b.length} answers cannot be paired`);
  let [onlyA, onlyB] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (a[i] && !b[i]) onlyA++;
    if (!a[i] && b[i]) onlyB++;
  }
  const n = onlyA + onlyB;
  const fewer = Math.min(onlyA, onlyB);
  let tail = 0;
  let logChoose = 0;
  for (let k = 0; k <= fewer; k++) {
    tail += Math.exp(logChoose - n * Math.LN2);
    logChoose += Math.log(n - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * tail);
}

/**
 * Holm's step-down correction: adjusted p-values in the order given, monotone and at most 1 (Holm, 1979).
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).sort((x, y) => x.p - y.p);
  const adjusted = new Array<number>(pValues.length).fill(0);
  let largest = 0;
  order.forEach(({ p, index }, rank) => {
    largest = Math.max(largest, Math.min(1, p * (pValues.length - rank)));
    adjusted[index] = largest;
  });
  return adjusted;
}
