import { summary, wallOf } from './statistics.mjs';

/** @typedef {import('./model.mjs').Verdict} Verdict */
/** @typedef {readonly import('./model.mjs').Measured[]} Rows */

/** @param {Verdict} verdict */
export const isMet = verdict => (verdict.direction === 'at most' ? verdict.value <= verdict.limit : verdict.value >= verdict.limit);

/**
 * The subject's median wall time is at most so many seconds.
 * @param {Rows} rows @param {string} subject @param {number} seconds
 * @returns {Verdict[]}
 */
export function wallAtMost(rows, subject, seconds) {
  const wall = wallOf(rows, subject);
  if (wall === null) return [];
  return [{ bar: `${subject}: ≤ ${seconds} s`, value: wall / 1000, limit: seconds, direction: 'at most', unit: 's' }];
}

/**
 * The subject is at least so many times faster than the peer; no verdict when the peer is not there.
 * @param {Rows} rows @param {string} subject @param {string} peer @param {number} times
 * @returns {Verdict[]}
 */
export function fasterThan(rows, subject, peer, times) {
  const wall = wallOf(rows, subject);
  const other = wallOf(rows, peer);
  if (wall === null || other === null) return [];
  const bar = times === 1 ? `faster than ${peer}` : `≥ ${times}× faster than ${peer}`;
  return [{ bar, value: other / wall, limit: times, direction: 'at least', unit: '×' }];
}

/**
 * The subject takes at most so many times the other's wall time.
 * @param {Rows} rows @param {string} subject @param {string} other @param {number} times
 * @returns {Verdict[]}
 */
export function ratioAtMost(rows, subject, other, times) {
  const wall = wallOf(rows, subject);
  const base = wallOf(rows, other);
  if (wall === null || base === null) return [];
  return [{ bar: `${subject}: ≤ ${times}× ${other}`, value: wall / base, limit: times, direction: 'at most', unit: '×' }];
}

/**
 * The subject's peak memory is at most so many megabytes (10⁶ bytes).
 * @param {Rows} rows @param {string} subject @param {number} megabytes
 * @returns {Verdict[]}
 */
export function peakAtMost(rows, subject, megabytes) {
  const row = rows.find(other => other.subject === subject);
  const peak = row === undefined ? null : summary(row, 'peakBytes');
  if (peak === null) return [];
  return [{ bar: `${subject}: ≤ ${megabytes} MB`, value: peak.median / 1e6, limit: megabytes, direction: 'at most', unit: 'MB' }];
}
