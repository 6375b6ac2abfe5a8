/** What stays in the cache until somebody says otherwise. */
import type { Artefact, Digest } from './model.ts';
import { recordedArtefacts } from './recorded-artefacts.ts';
import type { Store } from './store.ts';

/** Keeps the outputs of an attempt until they are unpinned. */
export function pinAttempt(store: Store, attempt: number, reason: string, now: number): Artefact[] {
  const artefacts = recordedArtefacts(store, attempt);
  const insert = store.database.prepare('INSERT OR REPLACE INTO pin (digest, reason, pinned_at) VALUES (?, ?, ?)');
  store.database.transaction(() => {
    for (const { digest } of artefacts) insert.run(digest, reason, now);
  })();
  return artefacts;
}

export function unpinAttempt(store: Store, attempt: number): Artefact[] {
  const artefacts = recordedArtefacts(store, attempt);
  const remove = store.database.prepare('DELETE FROM pin WHERE digest = ?');
  return store.database.transaction(() => artefacts.filter(({ digest }) => remove.run(digest).changes > 0))();
}

export interface Pin {
  readonly digest: Digest;
  readonly name: string | null;
  readonly reason: string;
  readonly pinnedAt: number;
}

export function listPins(store: Store): Pin[] {
  return store.database
    .prepare<[], Pin>('SELECT pin.digest AS digest, artefact.name AS name, reason, pinned_at AS pinnedAt FROM pin LEFT JOIN artefact USING (digest) ORDER BY pinned_at')
    .all();
}
