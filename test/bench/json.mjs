import { summary } from './statistics.mjs';
import { isMet } from './verdict.mjs';

/**
 * The whole run as data: times in milliseconds, memory in bytes.
 * @param {readonly ({ name: string, title: string } & ({ result: import('./model.mjs').CaseResult } | { error: string }))[]} entries
 * @param {object} machine
 */
export function jsonOf(entries, machine) {
  return {
    machine,
    cases: entries.map(entry => ('error' in entry ? entry : {
      name: entry.name,
      title: entry.title,
      measured: entry.result.measured.map(row => ({
        subject: row.subject,
        runs: row.samples.length,
        wallMs: summary(row, 'wallMs'),
        userMs: summary(row, 'userMs'),
        systemMs: summary(row, 'systemMs'),
        peakBytes: summary(row, 'peakBytes'),
      })),
      verdicts: entry.result.verdicts.map(verdict => ({ ...verdict, met: isMet(verdict) })),
      notes: entry.result.notes,
    })),
  };
}
