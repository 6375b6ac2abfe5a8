import { randomOf } from '../data/random.ts';
import { type Interval, percentileInterval } from '../percentile.ts';

/**
 * Percentile interval of balanced accuracy: whole groups (articles, cases) are drawn with replacement, since images of one group
 * are not independent. A class that a draw leaves out does not count in it.
 * @param right how right each prediction is, 0 to 1, `[images]`
 * @param labels `[images]`
 * @param groups `[images]`
 */
export function balancedAccuracyInterval(
  right: ArrayLike<number>,
  labels: ArrayLike<number>,
  groups: readonly string[],
  { classes, replicates = 1000, level = 0.95, seed = 1 }: { readonly classes: number; readonly replicates?: number; readonly level?: number; readonly seed?: number },
): Interval {
  const place = new Map<string, number>();
  for (const group of groups) if (!place.has(group)) place.set(group, place.size);
  const rowsOf = Array.from({ length: place.size }, (): number[] => []);
  groups.forEach((group, row) => rowsOf[place.get(group)!]!.push(row));
  const random = randomOf('class bootstrap', seed);
  const values = Array.from({ length: replicates }, () => {
    const [sums, counts] = [new Float64Array(classes), new Float64Array(classes)];
    for (let draw = 0; draw < rowsOf.length; draw++) {
      for (const row of rowsOf[random.below(rowsOf.length)]!) {
        sums[labels[row]!]! += right[row]!;
        counts[labels[row]!]!++;
      }
    }
    const present = [...counts.keys()].filter((of) => counts[of]! > 0);
    return present.reduce((sum, of) => sum + sums[of]! / counts[of]!, 0) / present.length;
  });
  return percentileInterval(values, level);
}
