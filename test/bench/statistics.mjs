/** @param {readonly number[]} values  At least one. */
export function median(values) {
  if (values.length === 0) throw new Error('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Median, least and most of a property of the samples; null when it was not measured.
 * @param {import('./model.mjs').Measured} measured
 * @param {'wallMs' | 'userMs' | 'systemMs' | 'peakBytes'} property
 */
export function summary(measured, property) {
  const values = measured.samples.map(sample => sample[property]).filter(value => value !== null);
  if (values.length === 0) return null;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The median wall time of a subject in milliseconds, or null when it did not take part.
 * @param {readonly import('./model.mjs').Measured[]} measured
 * @param {string} subject
 */
export function wallOf(measured, subject) {
  const found = measured.find(row => row.subject === subject);
  return found === undefined ? null : (summary(found, 'wallMs')?.median ?? null);
}
