/** Two metrics files value by value. */
import { readMetricsFile } from './metrics-file.ts';

/**
 * `within`: the same names and steps in the same order, and no value further from the other than `tolerance` times the
 * larger of 1 and both magnitudes; NaN and infinities must be the same. Throws an Error for a file that is no metrics file.
 */
export function compareMetrics(before: string, now: string, tolerance: number): { readonly within: boolean; readonly text: string } {
  const [was, is] = [readMetricsFile(before), readMetricsFile(now)];
  if (was.length !== is.length) return { within: false, text: `${is.length} values, ${was.length} before` };
  let largest = 0;
  for (const [i, value] of is.entries()) {
    const other = was[i]!;
    const where = `${value.name}${value.step === null ? '' : ` at step ${value.step}`}`;
    if (value.name !== other.name || value.step !== other.step) return { within: false, text: `line ${i + 1} is ${where}, and was ${other.name}` };
    if (Object.is(value.value, other.value)) continue;
    const distance = Math.abs(value.value - other.value) / Math.max(1, Math.abs(value.value), Math.abs(other.value));
    // Not "greater than": a distance from NaN or between infinities is NaN.
    if (!(distance <= tolerance)) return { within: false, text: `${where} is ${value.value}, and was ${other.value}` };
    largest = Math.max(largest, distance);
  }
  return { within: true, text: largest === 0 ? 'other bytes, the same values' : `largest difference ${Number(largest.toPrecision(2))}` };
}
