/** How long captions are in tokens, and what each context length would cut off. */

/** Context lengths, start and end included, for which truncation is counted. */
export const contextLengths: readonly number[] = [16, 32, 48, 64, 77, 128, 248, 512];

export interface NamedValue {
  readonly metric: string;
  readonly value: number;
}

/**
 * Metrics of one set of captions: count, mean, quantiles and largest number of tokens (without start and end), share of
 * captions truncated and of tokens kept at each context length. Quantiles are the value at place ⌊p·(n−1)⌋ of the sorted ones.
 * @param suffix appended to each name, for example `_train`
 */
export function tokenStatistics(lengths: ArrayLike<number>, suffix = ''): NamedValue[] {
  const sorted = Float64Array.from(lengths).sort();
  const count = sorted.length;
  const metrics: NamedValue[] = [{ metric: `captions${suffix}`, value: count }];
  if (count === 0) return metrics;
  const sum = sorted.reduce((total, length) => total + length, 0);
  const add = (metric: string, value: number): void => void metrics.push({ metric: metric + suffix, value });
  add('tokens_mean', sum / count);
  for (const percent of [50, 75, 90, 95, 99, 99.9]) {
    add(`tokens_p${String(percent).replace('.', '_')}`, sorted[Math.floor((percent / 100) * (count - 1))]!);
  }
  add('tokens_max', sorted[count - 1]!);
  for (const context of contextLengths) {
    const room = context - 2;
    let truncated = 0;
    let kept = 0;
    for (const length of sorted) {
      if (length > room) truncated += 1;
      kept += Math.min(length, room);
    }
    add(`truncated_at_${context}`, truncated / count);
    add(`tokens_kept_at_${context}`, sum === 0 ? 1 : kept / sum);
  }
  return metrics;
}
