/** From decisions to the plan that is shown and run: reasons, counts, times, and which cells are one. */
import type { Cell } from '../pipeline/model.ts';
import type { Key, ResultRecord } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { actionManifest } from './decide.ts';
import { estimates } from './estimate.ts';
import type { Cacheable, Plan, PlanCounts, PlannedCell, Reason } from './model.ts';
import type { PlanKeys } from './plan-keys.ts';
import type { CellDecision, PlanState } from './plan-state.ts';
import { ownReasons } from './reasons.ts';

export function planOf(state: PlanState, selected: ReadonlySet<number>): Plan {
  const { context, decisions, order } = state;
  const { graph, store, planKeys } = context;
  const counts: Record<keyof PlanCounts, number> = { fresh: 0, run: 0, pending: 0, stopped: 0 };
  const times = estimates(graph, store, decisions.map(decision => decision.state));
  const firstOf = new Map<Key, number>();
  const cells = new Array<PlannedCell>(graph.cells.length);
  for (const index of order) {
    const { state: decided, actionKey, record } = decisions[index]!;
    const cell = graph.cells[index]!;
    if (selected.has(index)) counts[decided]++;
    const key = actionKey ?? planKeys.of(index);
    const first = firstOf.get(key);
    if (first === undefined) firstOf.set(key, index);
    cells[index] = new KeyedCell(
      planKeys, index, decisions[index]!, decided === 'run' || decided === 'pending' ? reasonsOf(state, cell) : none,
      cell.settings.always ? notCacheable : cacheable, times.of(index, graph.stages[cell.stage]!.name, cell.id),
      first ?? null, decided === 'fresh' && isElsewhere(store, cell, record),
    );
  }
  return { graph, cells, selected, counts, estimateMs: times.total(context.producers, order, selected) };
}

/** A planned cell whose plan key is made when somebody asks. */
class KeyedCell implements PlannedCell {
  readonly cell: number;
  readonly state: PlannedCell['state'];
  readonly actionKey: Key | null;
  readonly record: ResultRecord | null;
  readonly reasons: readonly Reason[];
  readonly cacheable: Cacheable;
  readonly estimateMs: number | null;
  readonly sameAs: number | null;
  readonly remote: boolean;
  readonly #keys: PlanKeys;

  constructor(
    keys: PlanKeys, cell: number, { state, actionKey, record }: CellDecision, reasons: readonly Reason[], cached: Cacheable,
    estimateMs: number | null, sameAs: number | null, remote: boolean,
  ) {
    this.#keys = keys;
    this.cell = cell;
    this.state = state;
    this.actionKey = actionKey;
    this.record = record;
    this.reasons = reasons;
    this.cacheable = cached;
    this.estimateMs = estimateMs;
    this.sameAs = sameAs;
    this.remote = remote;
  }

  get planKey(): Key {
    return this.#keys.of(this.cell);
  }
}

const none: readonly Reason[] = [];
const cacheable: Cacheable = { ok: true };
const notCacheable: Cacheable = { ok: false, why: '`always: true`: it is never reused' };

/** Fresh, with outputs that a shared cache has and this one has not. */
function isElsewhere(store: Store, cell: Cell, record: ResultRecord | null): boolean {
  const { supply } = store.artefacts;
  if (supply === null || record === null) return false;
  return Object.entries(cell.outputs).some(([name, { temp }]) => {
    const artefact = record.outputs[name];
    return !temp && artefact !== undefined && supply.has(artefact.digest) && store.artefacts.present(artefact) !== 'here';
  });
}

/** Of a cell that will or may run: the causes that its decision was made on. */
function reasonsOf(state: PlanState, cell: Cell): readonly Reason[] {
  const { context, decisions, revived } = state;
  const { index } = cell;
  const { state: decided, record } = decisions[index]!;
  const reasons: Reason[] = [];
  if (state.isForced(index)) reasons.push({ kind: 'forced' });
  if (cell.settings.always) reasons.push({ kind: 'always' });
  if (decided === 'pending') return [...reasons, ...upstream(state, cell)];
  if (record !== null) {
    for (const name of Object.keys(cell.outputs)) {
      const artefact = record.outputs[name];
      const presence = artefact === undefined ? 'gone' : state.present(artefact);
      if (presence === 'gone' && (!cell.outputs[name]!.temp || revived.has(index))) {
        reasons.push({ kind: 'output-gone', output: name, neededBy: revived.get(index) ?? null });
      }
      if (presence === 'damaged') reasons.push({ kind: 'output-damaged', output: name });
    }
  } else if (reasons.length === 0) {
    reasons.push(...ownReasons(context, cell, actionManifest(state, cell), context.planKeys.of(index)));
  }
  return reasons;
}

/** The cells whose outputs it waits to know, one for each input. */
function upstream({ decisions }: PlanState, cell: Cell): Reason[] {
  const reasons: Reason[] = [];
  const add = (input: string, producer: number): boolean => {
    const open = decisions[producer]!.known === null;
    if (open) reasons.push({ kind: 'upstream', input, cell: producer });
    return open;
  };
  for (const name in cell.inputs) {
    const input = cell.inputs[name]!;
    if (input.kind === 'output') add(name, input.cell);
    else if (input.kind === 'gather') input.items.some(item => add(name, item.cell));
  }
  // An input of that name, if there is one, has said it.
  if (cell.guard !== null && !reasons.some(reason => reason.kind === 'upstream' && reason.input === 'halving')) add('halving', cell.guard.decision);
  return reasons;
}
