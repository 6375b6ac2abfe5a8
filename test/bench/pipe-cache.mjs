/**
 * What a cache says happened, read from its database, so that no verdict rests on what a program printed of itself.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** @param {string} project  Its cache is `cache/` there. */
export function countsOf(project) {
  const path = join(project, 'cache', 'pipe.db');
  if (!existsSync(path)) return { runs: 0, attempts: 0, ran: 0 };
  const database = new Database(path, { readonly: true });
  try {
    /** @param {string} sql */
    const count = sql => /** @type {number} */ (database.prepare(sql).pluck().get());
    return {
      runs: count('SELECT count(*) FROM run'),
      attempts: count('SELECT count(*) FROM attempt'),
      ran: count("SELECT count(*) FROM attempt WHERE status = 'ran'"),
    };
  } finally {
    database.close();
  }
}

/**
 * A check for runs that must do nothing: no attempt more than `cells`, and one run row more each time.
 * @param {string} project @param {number} cells
 */
export function verifyNoOp(project, cells) {
  let { runs } = countsOf(project);
  return () => {
    const now = countsOf(project);
    if (now.attempts !== cells || now.ran !== cells) throw new Error(`not a no-op: ${now.attempts} attempts of ${cells} cells`);
    if (now.runs !== runs + 1) throw new Error(`a no-op wrote ${now.runs - runs} run rows, not one`);
    runs = now.runs;
  };
}

/**
 * A check for runs that must do everything: as many cells ran as there are.
 * @param {string} project @param {number} cells
 */
export function verifyCold(project, cells) {
  const now = countsOf(project);
  if (now.ran !== cells || now.attempts !== cells) throw new Error(`not a cold run: ${now.ran} of ${cells} cells ran in ${now.attempts} attempts`);
}

/** When the last run ended, in milliseconds by the clock. @param {string} project */
export function lastRunEnded(project) {
  const database = new Database(join(project, 'cache', 'pipe.db'), { readonly: true });
  try {
    return /** @type {number} */ (database.prepare('SELECT ended_at FROM run ORDER BY id DESC LIMIT 1').pluck().get());
  } finally {
    database.close();
  }
}
