/**
 * Which attempt each cell's result came from at the end of a run. Such lists are kept once and found again by their
 * digest, so that a run in which nothing changed writes no more than its own row.
 */
import type { Database } from 'better-sqlite3';
import { sha256 } from './file-bytes.ts';

export function recordRunResults(database: Database, run: number, cells: readonly { readonly cell: string; readonly attempt: number }[]): void {
  // By attempt first: numbers compare faster, and a run in which nothing changed has them nearly in order.
  const rows = cells.toSorted((a, b) => a.attempt - b.attempt || (a.cell < b.cell ? -1 : 1));
  const digest = sha256(rows.map(({ cell, attempt }) => `${attempt} ${cell}\n`).join(''));
  database.transaction(() => {
    const known = database.prepare<[string], { id: number }>('SELECT id FROM result_set WHERE digest = ?').get(digest)?.id;
    database.prepare('UPDATE run SET result_set = ? WHERE id = ?').run(known ?? writeSet(database, digest, rows), run);
  })();
}

function writeSet(database: Database, digest: string, rows: readonly { readonly cell: string; readonly attempt: number }[]): number {
  const id = Number(database.prepare('INSERT INTO result_set (digest) VALUES (?)').run(digest).lastInsertRowid);
  const insert = database.prepare('INSERT INTO result_set_cell (result_set, cell, attempt) VALUES (?, ?, ?)');
  for (const { cell, attempt } of rows) insert.run(id, cell, attempt);
  return id;
}

/** Cell → attempt, of cells that had a result at the end of the run; null for a run that did not end, or was made before this was kept. */
export function resultsOfRun(database: Database, run: number): Map<string, number> | null {
  const set = database.prepare<[number], { set: number | null }>('SELECT result_set AS "set" FROM run WHERE id = ?').get(run)?.set ?? null;
  if (set === null) return null;
  const rows = database.prepare<[number], { cell: string; attempt: number }>('SELECT cell, attempt FROM result_set_cell WHERE result_set = ? ORDER BY cell').all(set);
  return new Map(rows.map(({ cell, attempt }) => [cell, attempt]));
}
