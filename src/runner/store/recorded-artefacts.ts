/** Which artefacts the records name, and which cells' records name an artefact. */
import type { Artefact, Digest } from './model.ts';
import type { Store } from './store.ts';

/** Those that the records of an attempt name. */
export function recordedArtefacts(store: Store, attempt: number): Artefact[] {
  const rows = store.database.prepare<[number], { outputs: string }>('SELECT outputs FROM record WHERE attempt = ?').all(attempt);
  const artefacts = rows.flatMap(({ outputs }) => Object.values(JSON.parse(outputs) as Record<string, Artefact>));
  return [...new Map(artefacts.map(artefact => [artefact.digest, artefact])).values()];
}

/** Of all that any record names. */
export function namedDigests(store: Store): Set<Digest> {
  const named = new Set<Digest>();
  for (const { outputs } of store.database.prepare<[], { outputs: string }>('SELECT outputs FROM record').iterate()) {
    for (const { digest } of Object.values(JSON.parse(outputs) as Record<string, Artefact>)) named.add(digest);
  }
  return named;
}

/** Cells whose records name the artefact, by name. */
export function cellsNaming(store: Store, digest: Digest): string[] {
  return store.database
    .prepare<[string], { cell: string }>('SELECT DISTINCT cell FROM record JOIN attempt ON attempt.id = record.attempt WHERE instr(outputs, ?) > 0 ORDER BY cell')
    .all(digest)
    .map(({ cell }) => cell);
}
