/** The state of each cell: fresh, run, pending or stopped, and the record and key that say so. */
import { readFileSync } from 'node:fs';
import type { Json } from '../json.ts';
import type { Cell } from '../pipeline/model.ts';
import type { Artefact, Manifest } from '../store/model.ts';
import { keyOf } from './key.ts';
import { artefactValue } from './manifest.ts';
import type { CellDecision, PlanState } from './plan-state.ts';

/** One pass over all cells, producers first. `survivors` is kept from pass to pass. */
export function decideCells(state: PlanState, survivors: SurvivorsOf): void {
  for (const index of state.order) state.decisions[index] = decide(state, state.context.graph.cells[index]!, survivors);
}

// Of thousands of cells at once.
const stopped: CellDecision = { state: 'stopped', record: null, actionKey: null, known: 'stopped' };
const forcedOpen: CellDecision = { state: 'run', record: null, actionKey: null, known: null };
const pending: CellDecision = { state: 'pending', record: null, actionKey: null, known: null };

function decide(state: PlanState, cell: Cell, survivors: SurvivorsOf): CellDecision {
  const { index } = cell;
  const stoppedOrOpen = blocked(state, cell, survivors);
  if (stoppedOrOpen === 'stopped') return stopped;
  const mustRun = state.isForced(index) || cell.settings.always;
  if (stoppedOrOpen === 'open') {
    if (mustRun) return forcedOpen;
    // An input's digest is not known. If nobody asks for the cell that makes it, the plan key may stand for all of it.
    const record = undemandedProducers(state, index) ? state.lookup(state.context.planKeys.of(index)) : null;
    if (record !== null && !state.revived.has(index) && state.allHere(cell, record)) return { state: 'fresh', record, actionKey: null, known: { outputs: record.outputs } };
    return pending;
  }
  const actionKey = keyOf('action', actionManifest(state, cell));
  if (mustRun) return { state: 'run', record: null, actionKey, known: null };
  const record = state.lookup(actionKey);
  if (record === null) return { state: 'run', record: null, actionKey, known: null };
  // Its outputs are known even where they are not here; while it makes them again, they are not.
  const again = state.revived.has(index) || (state.demanded[index] === 1 && state.isTarget(index) && !state.allHere(cell, record));
  if (again) return { state: 'run', record, actionKey, known: null };
  return { state: 'fresh', record, actionKey, known: { outputs: record.outputs } };
}

/** The manifest behind an action key, of a cell all of whose inputs are known. */
export function actionManifest({ context, decisions }: PlanState, cell: Cell): Manifest {
  const other = (producer: number, output: string): Json => {
    const { known } = decisions[producer]!;
    if (known === 'stopped') return 'stopped';
    const artefact = known?.outputs[output];
    return artefact === undefined ? 'missing' : artefactValue(artefact);
  };
  return context.reader.manifest(cell, other);
}

/** `stopped`: a halving decision, or the stop of what it reads, leaves it out. `open`: something it reads is not settled. */
function blocked({ decisions }: PlanState, cell: Cell, survivorsOf: SurvivorsOf): 'stopped' | 'open' | 'settled' {
  let open = false;
  for (const name in cell.inputs) {
    const input = cell.inputs[name]!;
    if (input.kind === 'output') {
      const { known } = decisions[input.cell]!;
      if (known === 'stopped') return 'stopped';
      if (known === null) open = true;
    } else if (input.kind === 'gather' && input.items.length > 0) {
      if (input.items.every(item => decisions[item.cell]!.known === 'stopped')) return 'stopped';
      if (input.items.some(item => decisions[item.cell]!.known === null)) open = true;
    }
  }
  if (cell.guard !== null) {
    const { known } = decisions[cell.guard.decision]!;
    if (known === 'stopped') return 'stopped';
    const survivors = known === null ? null : survivorsOf(cell.guard.decision, known.outputs);
    if (survivors === null) open = true;
    else if (!survivors.has(cell.guard.member)) return 'stopped';
  }
  return open ? 'open' : 'settled';
}

function undemandedProducers({ context, decisions, demanded }: PlanState, cell: number): boolean {
  return context.producers[cell]!.every(producer => decisions[producer]!.known !== null || demanded[producer] === 0);
}

/** The members that a halving decision lets go on; null when its output is not here. */
export type SurvivorsOf = (decision: number, outputs: Readonly<Record<string, Artefact>>) => ReadonlySet<string> | null;

export function survivorReader({ context: { store } }: PlanState): SurvivorsOf {
  const read = new Map<number, ReadonlySet<string> | null>();
  return (decision, outputs) => {
    let survivors = read.get(decision);
    if (survivors === undefined) {
      const artefact = outputs['survivors'];
      survivors = artefact === undefined || store.artefacts.present(artefact) !== 'here' ? null : readSurvivors(store.artefacts.pathOf(artefact));
      read.set(decision, survivors);
    }
    return survivors;
  };
}

function readSurvivors(file: string): ReadonlySet<string> {
  return new Set((JSON.parse(readFileSync(file, 'utf8')) as { readonly survivors: readonly string[] }).survivors);
}
