/** Reading all that the cache holds again. */
import type { Artefact } from './model.ts';
import { cellsNaming } from './recorded-artefacts.ts';
import type { Store } from './store.ts';

export interface CacheVerification {
  readonly checked: number;
  readonly bytes: number;
  /** Damaged ones are now at `quarantined`. */
  readonly damaged: readonly { readonly artefact: Artefact; readonly quarantined: string; readonly cells: readonly string[] }[];
  /** Named by a record, not dropped on purpose, and not there. */
  readonly missing: readonly { readonly artefact: Artefact; readonly cells: readonly string[] }[];
}

/** Reads every artefact again and compares digests; damaged ones are put aside, so that their cells run again. */
export function verifyCache(store: Store): CacheVerification {
  const damaged: { artefact: Artefact; quarantined: string; cells: readonly string[] }[] = [];
  const missing: { artefact: Artefact; cells: readonly string[] }[] = [];
  let checked = 0;
  let bytes = 0;
  for (const artefact of store.artefacts.list().filter(({ state }) => state === 'here')) {
    const presence = store.artefacts.verify(artefact);
    if (presence === 'gone') missing.push({ artefact, cells: cellsNaming(store, artefact.digest) });
    if (presence === 'damaged') damaged.push({ artefact, quarantined: store.artefacts.quarantine(artefact, 'found by `pipe cache verify`'), cells: cellsNaming(store, artefact.digest) });
    if (presence === 'here') {
      checked++;
      bytes += artefact.size;
    }
  }
  return { checked, bytes, damaged, missing };
}
