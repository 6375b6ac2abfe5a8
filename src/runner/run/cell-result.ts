/** How a cell stands at the end of its turn in this run, and what that means for those that wait for it. */
import type { Cell } from '../pipeline/model.ts';
import type { Artefact, Key } from '../store/model.ts';

export type Outputs = Readonly<Record<string, Artefact>>;

export type CellResult =
  | {
      readonly kind: 'done';
      readonly outputs: Outputs;
      readonly attempt: number;
      readonly actionKey: Key | null;
    }
  | { readonly kind: 'failed' }
  /** Not started: something it needs failed, or the run ended before its turn. */
  | { readonly kind: 'skipped' }
  /** A halving decision left it out. */
  | { readonly kind: 'stopped' };

export type Readiness = { readonly kind: 'ready' } | { readonly kind: 'stopped' } | { readonly kind: 'skipped'; readonly because: number };

/** What becomes of a cell when all that it waits for has ended. `survives`: whether its halving decision lists it. */
export function readiness(cell: Cell, resultOf: (cell: number) => CellResult, survives: () => boolean): Readiness {
  if (cell.guard) {
    const decision = resultOf(cell.guard.decision);
    if (decision.kind !== 'done') return blocked(decision, cell.guard.decision);
    if (!survives()) return { kind: 'stopped' };
  }
  for (const other of cell.needs) {
    const result = resultOf(other);
    if (result.kind === 'failed' || result.kind === 'skipped') return { kind: 'skipped', because: other };
  }
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') {
      const result = resultOf(input.cell);
      if (result.kind !== 'done') return blocked(result, input.cell);
    } else if (input.kind === 'gather') {
      const results = input.items.map(item => resultOf(item.cell));
      const bad = input.items.find((_, index) => results[index]!.kind === 'failed' || results[index]!.kind === 'skipped');
      if (bad !== undefined && (!input.partial || !results.some(({ kind }) => kind === 'done'))) return { kind: 'skipped', because: bad.cell };
      if (input.items.length > 0 && results.every(({ kind }) => kind === 'stopped')) return { kind: 'stopped' };
    }
  }
  return { kind: 'ready' };
}

function blocked(result: Exclude<CellResult, { kind: 'done' }>, cell: number): Readiness {
  return result.kind === 'stopped' ? { kind: 'stopped' } : { kind: 'skipped', because: cell };
}
