/** `pipe accept`: an attempt that was made under another key stands for a new one, with the reason in the record. */
import { PipeError } from '../diagnostic.ts';
import { outputsOf } from './history.ts';
import type { Artefact, Key } from './model.ts';
import type { Store } from './store.ts';

export interface Acceptable {
  readonly pipeline: string;
  readonly cell: string;
  /** The action key it is to stand for. */
  readonly key: Key;
  /** Names of the outputs that the cell declares now. */
  readonly outputs: readonly string[];
}

export interface Accepted {
  readonly cell: string;
  readonly key: Key;
  /** The cell's last good attempt, whose outputs they are. */
  readonly attempt: number;
}

/**
 * Lets the outputs of each cell's last good attempt stand for its new key, in one transaction: all or none. Throws
 * PipeError (exit 1) for a cell without such an attempt, or of whose outputs one is not here and whole.
 */
export function acceptOutputs(store: Store, cells: readonly Acceptable[], reason: string): Accepted[] {
  return store.database.transaction(() => cells.map(cell => acceptOne(store, cell, reason))).immediate();
}

function acceptOne(store: Store, { pipeline, cell, key, outputs }: Acceptable, reason: string): Accepted {
  const attempt = store.results.lastAttempts(pipeline, cell, { status: 'ran', limit: 1 })[0]?.id;
  const made = attempt === undefined ? {} : outputsOf(store.database, attempt);
  const present: Record<string, Artefact> = {};
  for (const name of outputs) {
    const artefact = made[name];
    if (artefact !== undefined && store.artefacts.present(artefact) === 'here') present[name] = artefact;
  }
  const missing = outputs.filter(name => present[name] === undefined);
  if (attempt === undefined || missing.length > 0) {
    throw new PipeError(`${cell} has no ${attempt === undefined ? 'result' : `output ${missing.join(', ')}`} that could be accepted`, {
      exitCode: 1, code: 'nothing-to-accept', hint: `\`pipe run '${cell}'\` makes it`,
    });
  }
  store.results.putRecord({ key, kind: 'action', attempt, outputs: present, accepted: reason });
  return { cell, key, attempt };
}
