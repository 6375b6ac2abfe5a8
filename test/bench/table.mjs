/** The table of a run: one line a measured program, one a bar. */
import { summary } from './statistics.mjs';
import { isMet } from './verdict.mjs';

/** @param {number} ms */
const seconds = ms => (ms / 1000).toFixed(ms < 1000 ? 4 : ms < 10_000 ? 3 : 1);

/** @param {{ name: string, title: string, result: import('./model.mjs').CaseResult }} entry */
export function caseText({ name, title, result }) {
  const header = ['', 'runs', 'wall s', 'min', 'max', 'user s', 'peak MB'];
  const rows = result.measured.map(row => {
    const wall = summary(row, 'wallMs');
    const user = summary(row, 'userMs');
    const peak = summary(row, 'peakBytes');
    return [
      row.subject, String(row.samples.length),
      ...(wall === null ? ['–', '–', '–'] : [seconds(wall.median), seconds(wall.min), seconds(wall.max)]),
      user === null ? '–' : seconds(user.median),
      peak === null ? '–' : (peak.median / 1e6).toFixed(0),
    ];
  });
  const table = rows.length === 0 ? [] : columns([header, ...rows]);
  const lines = [`${name}: ${title}`, ...table.map(line => `  ${line}`)];
  for (const verdict of result.verdicts) lines.push(`  ${isMet(verdict) ? 'met    ' : 'NOT MET'}  ${verdictText(verdict)}`);
  for (const note of result.notes) lines.push(`  · ${note}`);
  return lines.join('\n');
}

/** @param {import('./model.mjs').Verdict} verdict */
export function verdictText(verdict) {
  const digits = { s: 3, '×': 2, '%': 1 }[verdict.unit] ?? 0;
  return `${verdict.bar}: ${verdict.value.toFixed(digits)} ${verdict.unit}`;
}

/** @param {readonly (readonly string[])[]} rows  The first column to the left, the others to the right. */
function columns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)));
  return rows.map(row => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ').trimEnd());
}
