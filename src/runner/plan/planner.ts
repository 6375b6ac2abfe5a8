/**
 * Cells + store → plan. A cell is fresh when its action key, which holds the digests of its inputs, has a record whose
 * outputs are there; the plan key decides only where an input is not known and nobody asks for the cell that makes it.
 */
import { readFileSync } from 'node:fs';
import { PipeError } from '../diagnostic.ts';
import type { Json } from '../json.ts';
import { ownPackageRoot } from '../package-root.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import type { Artefact, Key, Manifest, ManifestPart, ResultRecord } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { estimates } from './estimate.ts';
import { artefactValue, finishManifest, ManifestReader, shownInProject } from './manifest.ts';
import type { PlatformFacts } from './manifest.ts';
import { keyOf } from './key.ts';
import type { Cacheable, CellState, Plan, PlanCounts, PlannedCell, Reason } from './model.ts';
import { producersOf, topologicalOrder } from './order.ts';
import { ownReasons } from './reasons.ts';

export type { PlatformFacts } from './manifest.ts';

export interface PlanOptions {
  readonly graph: CellGraph;
  readonly store: Store;
  /** The cells that are asked for; null: all of them. */
  readonly targets: ReadonlySet<number> | null;
  readonly force: 'none' | 'all' | ReadonlySet<number>;
  readonly platform: PlatformFacts;
  /** Milliseconds since 1970. */
  readonly now?: number;
  /** Defaults to this program's own. */
  readonly packageRoot?: string;
  /** Defaults to process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What a plan was made with, for those who settle and explain it. */
export interface PlanContext {
  readonly graph: CellGraph;
  readonly store: Store;
  readonly platform: PlatformFacts;
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly reader: ManifestReader;
  readonly planKeys: readonly Key[];
  readonly producers: readonly (readonly number[])[];
}

const contexts = new WeakMap<Plan, PlanContext>();

export function contextOf(plan: Plan): PlanContext {
  const context = contexts.get(plan);
  if (context === undefined) throw new Error('this plan was not made by makePlan in this process');
  return context;
}

/**
 * Synchronous: about 20 µs a cell. Throws PipeError (exit 2) when a selected cell that is not fresh reads a file that
 * is not there, with all such files in one message.
 */
export function makePlan(options: PlanOptions): Plan {
  const planner = new Planner(options);
  // One read transaction: outside of one, each of tens of thousands of look-ups would lock and unlock the database.
  const plan = options.store.database.transaction(() => planner.plan())();
  options.store.stats.flush();
  contexts.set(plan, planner.context);
  return plan;
}

type Settled = 'fresh' | 'stopped';
type Known = { readonly outputs: Readonly<Record<string, Artefact>> } | 'stopped' | null;

class Planner {
  readonly context: PlanContext;
  readonly #graph: CellGraph;
  readonly #store: Store;
  readonly #options: PlanOptions;
  readonly #order: Int32Array;
  readonly #producers: readonly (readonly number[])[];
  readonly #planKeys: Key[] = [];
  readonly #fixed: ManifestPart[][] = [];
  readonly #actionKeys: (Key | null)[];
  readonly #records: (ResultRecord | null)[];
  readonly #states: CellState[];
  /** What consumers may count on: the outputs' digests, whether or not the files are here. */
  readonly #known: Known[];
  readonly #lookups = new Map<Key, ResultRecord | null>();
  readonly #presence = new Map<string, 'here' | 'gone' | 'damaged'>();
  readonly #survivors = new Map<number, ReadonlySet<string> | null>();
  /** Cells that have to make their outputs again, and for whom. */
  readonly #revived = new Map<number, string>();
  readonly #demanded: Uint8Array;

  constructor(options: PlanOptions) {
    const { graph, store } = options;
    this.#graph = graph;
    this.#store = store;
    this.#options = options;
    this.#producers = graph.cells.map(producersOf);
    this.#order = topologicalOrder(graph, this.#producers);
    const count = graph.cells.length;
    this.#actionKeys = new Array<Key | null>(count).fill(null);
    this.#records = new Array<ResultRecord | null>(count).fill(null);
    this.#states = new Array<CellState>(count).fill('run');
    this.#known = new Array<Known>(count).fill(null);
    this.#demanded = new Uint8Array(count);
    const base = {
      graph, store, platform: options.platform, packageRoot: options.packageRoot ?? ownPackageRoot(), environment: options.environment ?? process.env,
    };
    this.context = { ...base, reader: new ManifestReader(base), planKeys: this.#planKeys, producers: this.#producers };
  }

  plan(): Plan {
    const { targets } = this.#options;
    for (const cell of this.#order) this.#planKeys[cell] = this.#makePlanKey(this.#graph.cells[cell]!);
    if (targets === null) this.#demanded.fill(1);
    else for (const cell of targets) this.#demanded[cell] = 1;
    // Demand only grows, and a cell that is demanded by more cells only goes from fresh to pending: so this ends,
    // nearly always after the second round.
    do this.#decide();
    while (this.#spreadDemand());
    const selected = new Set<number>();
    for (let cell = 0; cell < this.#demanded.length; cell++) if (this.#demanded[cell] === 1) selected.add(cell);
    this.#refuseMissing(selected);
    return this.#finish(selected);
  }

  #makePlanKey(cell: Cell): Key {
    const fixed = this.context.reader.fixedParts(cell);
    this.#fixed[cell.index] = fixed;
    return keyOf('plan', planManifest(cell, this.context, fixed));
  }

  /** One pass over all cells, producers first. */
  #decide(): void {
    for (const index of this.#order) {
      const cell = this.#graph.cells[index]!;
      const { state, record, actionKey, known } = this.#decideOne(cell);
      this.#states[index] = state;
      this.#records[index] = record;
      this.#actionKeys[index] = actionKey;
      this.#known[index] = known;
    }
  }

  #decideOne(cell: Cell): { readonly state: CellState; readonly record: ResultRecord | null; readonly actionKey: Key | null; readonly known: Known } {
    const { index } = cell;
    const stoppedOrOpen = this.#blocked(cell);
    if (stoppedOrOpen === 'stopped') return { state: 'stopped', record: null, actionKey: null, known: 'stopped' };
    const mustRun = this.#isForced(index) || cell.settings.always;
    if (stoppedOrOpen === 'open') {
      if (mustRun) return { state: 'run', record: null, actionKey: null, known: null };
      // An input's digest is not known. If nobody asks for the cell that makes it, the plan key may stand for all of it.
      const record = this.#undemandedProducers(index) ? this.#lookup(this.#planKeys[index]!) : null;
      if (record !== null && !this.#revived.has(index) && this.#allHere(cell, record)) return { state: 'fresh', record, actionKey: null, known: { outputs: record.outputs } };
      return { state: 'pending', record: null, actionKey: null, known: null };
    }
    const manifest = finishManifest([...this.#fixed[index]!, ...this.context.reader.inputParts(cell, this.#inputValue)], cell.settings.ignore);
    const actionKey = keyOf('action', manifest);
    if (mustRun) return { state: 'run', record: null, actionKey, known: null };
    const record = this.#lookup(actionKey);
    if (record === null) return { state: 'run', record: null, actionKey, known: null };
    // Its outputs are known even where they are not here; while it makes them again, they are not.
    const again = this.#revived.has(index) || (this.#demanded[index] === 1 && this.#isTarget(index) && !this.#allHere(cell, record));
    if (again) return { state: 'run', record, actionKey, known: null };
    return { state: 'fresh', record, actionKey, known: { outputs: record.outputs } };
  }

  readonly #inputValue = (producer: number, output: string): Json => {
    const known = this.#known[producer]!;
    if (known === 'stopped') return 'stopped';
    const artefact = known?.outputs[output];
    if (artefact === undefined) return 'missing';
    return artefactValue(artefact);
  };

  /** `stopped`: a halving decision, or the stop of what it reads, leaves it out. `open`: something it reads is not settled. */
  #blocked(cell: Cell): 'stopped' | 'open' | 'settled' {
    let open = false;
    for (const input of Object.values(cell.inputs)) {
      if (input.kind === 'output') {
        const known = this.#known[input.cell]!;
        if (known === 'stopped') return 'stopped';
        if (known === null) open = true;
      } else if (input.kind === 'gather' && input.items.length > 0) {
        if (input.items.every(item => this.#known[item.cell] === 'stopped')) return 'stopped';
        if (input.items.some(item => this.#known[item.cell] === null)) open = true;
      }
    }
    if (cell.guard !== null) {
      const known = this.#known[cell.guard.decision]!;
      if (known === 'stopped') return 'stopped';
      const survivors = known === null ? null : this.#survivorsOf(cell.guard.decision, known.outputs);
      if (survivors === null) open = true;
      else if (!survivors.has(cell.guard.member)) return 'stopped';
    }
    return open ? 'open' : 'settled';
  }

  #survivorsOf(decision: number, outputs: Readonly<Record<string, Artefact>>): ReadonlySet<string> | null {
    let survivors = this.#survivors.get(decision);
    if (survivors === undefined) {
      const artefact = outputs['survivors'];
      survivors = artefact === undefined || this.#store.artefacts.present(artefact) !== 'here' ? null : readSurvivors(this.#store.artefacts.pathOf(artefact));
      this.#survivors.set(decision, survivors);
    }
    return survivors;
  }

  #undemandedProducers(cell: number): boolean {
    return this.#producers[cell]!.every(producer => this.#known[producer] !== null || this.#demanded[producer] === 0);
  }

  #isForced(cell: number): boolean {
    const { force } = this.#options;
    return force === 'all' ? this.#isTarget(cell) : force !== 'none' && force.has(cell);
  }

  #isTarget(cell: number): boolean {
    return this.#options.targets === null || this.#options.targets.has(cell);
  }

  /** Whether all outputs that should stay are there and whole; one that is `temp` may have been dropped. */
  #allHere(cell: Cell, record: ResultRecord): boolean {
    for (const [name, { temp }] of Object.entries(cell.outputs)) {
      const artefact = record.outputs[name];
      if (artefact === undefined) return false;
      if (!temp && this.#present(artefact) !== 'here') return false;
    }
    return true;
  }

  #present(artefact: Artefact): 'here' | 'gone' | 'damaged' {
    let presence = this.#presence.get(artefact.digest);
    if (presence === undefined) {
      presence = this.#store.artefacts.obtainable(artefact);
      this.#presence.set(artefact.digest, presence);
    }
    return presence;
  }

  #lookup(key: Key): ResultRecord | null {
    let record = this.#lookups.get(key);
    if (record === undefined) {
      record = this.#store.results.lookup(key);
      this.#lookups.set(key, record);
    }
    return record;
  }

  /** A cell that will or may run needs its producers, and the files they made. True when something new is demanded. */
  #spreadDemand(): boolean {
    let grew = false;
    for (let i = this.#order.length - 1; i >= 0; i--) {
      const index = this.#order[i]!;
      const state = this.#states[index]!;
      if (this.#demanded[index] === 0 || (state !== 'run' && state !== 'pending' && !this.#revived.has(index))) continue;
      const cell = this.#graph.cells[index]!;
      for (const producer of this.#producers[index]!) {
        if (this.#demanded[producer] === 0) {
          this.#demanded[producer] = 1;
          grew = true;
        }
      }
      for (const needed of cell.needs) {
        if (this.#demanded[needed] === 0) {
          this.#demanded[needed] = 1;
          grew = true;
        }
      }
      for (const [producer, output] of wantedOutputs(cell)) if (this.#reviveIfGone(producer, output, cell)) grew = true;
    }
    return grew;
  }

  #reviveIfGone(producer: number, output: string, consumer: Cell): boolean {
    const record = this.#records[producer];
    if (this.#states[producer] !== 'fresh' || record === null || record === undefined || this.#revived.has(producer)) return false;
    const artefact = record.outputs[output];
    if (artefact === undefined || this.#present(artefact) === 'here') return false;
    this.#revived.set(producer, consumer.id);
    return true;
  }

  #refuseMissing(selected: ReadonlySet<number>): void {
    const missing = new Map<string, string>();
    for (const index of selected) {
      if (this.#states[index] === 'fresh' || this.#states[index] === 'stopped') continue;
      const cell = this.#graph.cells[index]!;
      for (const [name, input] of Object.entries(cell.inputs)) {
        if (input.kind !== 'path' || !this.context.reader.pathInput(input).missing) continue;
        const where = `${this.#graph.stages[cell.stage]!.name}.in.${name}`;
        missing.set(where, `${where}: ${input.glob ? `no file matches ${input.path}` : `there is no ${shownInProject(input.path, this.#graph.root)}`}`);
      }
    }
    if (missing.size === 0) return;
    throw new PipeError([...missing.values()].join('\n'), {
      exitCode: 2, code: 'missing-input', hint: `paths in \`in:\` are relative to the project root, ${this.#graph.root}`,
    });
  }

  #finish(selected: ReadonlySet<number>): Plan {
    const { cells, stages } = this.#graph;
    const counts: Record<keyof PlanCounts, number> = { fresh: 0, run: 0, pending: 0, stopped: 0 };
    const times = estimates(this.#graph, this.#store, this.#states);
    const firstOf = new Map<Key, number>();
    const planned: PlannedCell[] = new Array<PlannedCell>(cells.length);
    for (const index of this.#order) {
      const state = this.#states[index]!;
      const cell = cells[index]!;
      if (selected.has(index)) counts[state]++;
      const key = this.#actionKeys[index] ?? this.#planKeys[index]!;
      const first = firstOf.get(key);
      if (first === undefined) firstOf.set(key, index);
      planned[index] = {
        cell: index, state, planKey: this.#planKeys[index]!, actionKey: this.#actionKeys[index]!,
        record: this.#records[index]!, reasons: state === 'fresh' || state === 'stopped' ? none : this.#reasons(cell, state),
        cacheable: cell.settings.always ? notCacheable : cacheable, estimateMs: times.of(index, stages[cell.stage]!.name, cell.id),
        sameAs: first ?? null, remote: state === 'fresh' && this.#isElsewhere(cell, this.#records[index]!),
      };
    }
    return { graph: this.#graph, cells: planned, selected, counts, estimateMs: times.total(this.#producers, this.#order, selected) };
  }

  #isElsewhere(cell: Cell, record: ResultRecord | null): boolean {
    const { supply } = this.#store.artefacts;
    if (supply === null || record === null) return false;
    return Object.entries(cell.outputs).some(([name, { temp }]) => {
      const artefact = record.outputs[name];
      return !temp && artefact !== undefined && supply.has(artefact.digest) && this.#store.artefacts.present(artefact) !== 'here';
    });
  }

  #reasons(cell: Cell, state: Exclude<CellState, Settled>): readonly Reason[] {
    const { index } = cell;
    const reasons: Reason[] = [];
    if (this.#isForced(index)) reasons.push({ kind: 'forced' });
    if (cell.settings.always) reasons.push({ kind: 'always' });
    if (state === 'pending') {
      reasons.push(...this.#upstream(cell));
      return reasons;
    }
    const record = this.#records[index];
    if (record !== null && record !== undefined) {
      for (const name of Object.keys(cell.outputs)) {
        const artefact = record.outputs[name];
        const presence = artefact === undefined ? 'gone' : this.#present(artefact);
        if (presence === 'gone' && (!cell.outputs[name]!.temp || this.#revived.has(index))) {
          reasons.push({ kind: 'output-gone', output: name, neededBy: this.#revived.get(index) ?? null });
        }
        if (presence === 'damaged') reasons.push({ kind: 'output-damaged', output: name });
      }
    } else if (reasons.length === 0) {
      reasons.push(...ownReasons(this.context, cell, this.#manifestNow(cell), this.#planKeys[index]!));
    }
    return reasons;
  }

  #manifestNow(cell: Cell): Manifest {
    return finishManifest([...this.#fixed[cell.index]!, ...this.context.reader.inputParts(cell, this.#inputValue)], cell.settings.ignore);
  }

  #upstream(cell: Cell): Reason[] {
    const reasons: Reason[] = [];
    const seen = new Set<string>();
    const add = (input: string, producer: number): void => {
      if (this.#known[producer] !== null || seen.has(input)) return;
      seen.add(input);
      reasons.push({ kind: 'upstream', input, cell: producer });
    };
    for (const [name, input] of Object.entries(cell.inputs)) {
      if (input.kind === 'output') add(name, input.cell);
      else if (input.kind === 'gather') for (const item of input.items) add(name, item.cell);
    }
    if (cell.guard !== null) add('halving', cell.guard.decision);
    return reasons;
  }
}

const none: readonly Reason[] = [];
const cacheable: Cacheable = { ok: true };
const notCacheable: Cacheable = { ok: false, why: '`always: true`: it is never reused' };

/** The manifest behind a plan key: inputs from other cells by these cells' plan keys. */
export function planManifest(cell: Cell, context: PlanContext, fixed: readonly ManifestPart[]): Manifest {
  const other = (producer: number, output: string): Json => ({ cell: context.planKeys[producer]!, output });
  return finishManifest([...fixed, ...context.reader.inputParts(cell, other)], cell.settings.ignore);
}

function* wantedOutputs(cell: Cell): Generator<readonly [producer: number, output: string]> {
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') yield [input.cell, input.output];
    else if (input.kind === 'gather') for (const item of input.items) yield [item.cell, input.output];
  }
  if (cell.guard !== null) yield [cell.guard.decision, 'survivors'];
}

/** The members that a halving decision lets go on. */
export function readSurvivors(file: string): ReadonlySet<string> {
  return new Set((JSON.parse(readFileSync(file, 'utf8')) as { readonly survivors: readonly string[] }).survivors);
}
