/** What is known of each cell while a plan is made. */
import type { Cell } from '../pipeline/model.ts';
import type { Artefact, Key, ResultRecord } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { CellState } from './model.ts';
import { topologicalOrder } from './order.ts';
import type { PlanContext, PlanOptions } from './plan-context.ts';

/** What consumers of a cell may count on: the outputs' digests, whether or not the files are here. */
export type Known = { readonly outputs: Readonly<Record<string, Artefact>> } | 'stopped' | null;

export interface CellDecision {
  readonly state: CellState;
  readonly record: ResultRecord | null;
  readonly actionKey: Key | null;
  readonly known: Known;
}

export class PlanState {
  readonly context: PlanContext;
  /** Every cell after its producers. */
  readonly order: Int32Array;
  /** Of each cell, as of the last round. */
  readonly decisions: CellDecision[];
  /** Cells that have to make their outputs again, and for whom. */
  readonly revived = new Map<number, string>();
  /** 1: it is asked for, or needed by one that will or may run. */
  readonly demanded: Uint8Array;
  readonly #targets: PlanOptions['targets'];
  readonly #force: PlanOptions['force'];
  readonly #store: Store;
  readonly #lookups = new Map<Key, ResultRecord | null>();
  readonly #presence = new Map<string, 'here' | 'gone' | 'damaged'>();

  constructor(context: PlanContext, { targets, force }: Pick<PlanOptions, 'targets' | 'force'>) {
    const count = context.graph.cells.length;
    this.context = context;
    this.order = topologicalOrder(context.graph, context.producers);
    this.decisions = new Array<CellDecision>(count).fill({ state: 'run', record: null, actionKey: null, known: null });
    this.demanded = new Uint8Array(count);
    if (targets === null) this.demanded.fill(1);
    else for (const cell of targets) this.demanded[cell] = 1;
    this.#targets = targets;
    this.#force = force;
    this.#store = context.store;
  }

  isForced(cell: number): boolean {
    return this.#force === 'all' ? this.isTarget(cell) : this.#force !== 'none' && this.#force.has(cell);
  }

  isTarget(cell: number): boolean {
    return this.#targets === null || this.#targets.has(cell);
  }

  /** The record of a key, asked for once. */
  lookup(key: Key): ResultRecord | null {
    let record = this.#lookups.get(key);
    if (record === undefined) {
      record = this.#store.results.lookup(key);
      this.#lookups.set(key, record);
    }
    return record;
  }

  /** Whether an artefact is there or can be had, looked up once. */
  present(artefact: Artefact): 'here' | 'gone' | 'damaged' {
    let presence = this.#presence.get(artefact.digest);
    if (presence === undefined) {
      presence = this.#store.artefacts.obtainable(artefact);
      this.#presence.set(artefact.digest, presence);
    }
    return presence;
  }

  /** Whether all outputs that should stay are there and whole; one that is `temp` may have been dropped. */
  allHere(cell: Cell, record: ResultRecord): boolean {
    for (const name in cell.outputs) {
      const artefact = record.outputs[name];
      if (artefact === undefined) return false;
      if (!cell.outputs[name]!.temp && this.present(artefact) !== 'here') return false;
    }
    return true;
  }
}
