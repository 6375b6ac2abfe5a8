/** Starts cells when all that they wait for has ended and there is room for them, and acts on how they end. */
import type { Cell, Resources } from '../pipeline/model.ts';
import type { PlannedCell } from '../plan/model.ts';
import type { Digest, Key } from '../store/model.ts';
import type { Budget } from './budget.ts';
import { CellProgress } from './cell-progress.ts';
import type { Done } from './cell-progress.ts';
import type { CellResult } from './cell-result.ts';
import { criticalPath, findDependencies } from './dependencies.ts';
import { OtherRuns } from './other-runs.ts';
import { pause } from './pause.ts';
import { mostReopenings } from './reopenings.ts';
import { placeOf, Places } from './places.ts';
import { ResourcePool } from './resources.ts';
import type { Held } from './resources.ts';
import type { AttemptEnd } from './run-attempt.ts';
import { takeTurn } from './run-cell.ts';
import type { CellTurn, TurnOptions } from './run-cell.ts';
import type { RunContext } from './run-context.ts';
import { RunReport } from './run-report.ts';
import { causeOf, messageOf } from './trouble.ts';
import type { VerifyRequest } from './verify-outputs.ts';
import { WaitingCells } from './waiting-cells.ts';

export interface SchedulerOptions {
  readonly jobs: number;
  readonly keepGoing: boolean;
  readonly budget: Budget;
}

/** A cell that has never run counts as so long; only the order depends on it. */
const unknownMs = 1000;

export class Scheduler {
  readonly #context: RunContext;
  readonly #options: SchedulerOptions;
  readonly #report: RunReport;
  readonly #progress: CellProgress;
  readonly #waiting: WaitingCells;
  readonly #pool: Places;
  /** Digests of what this run has made. */
  readonly #madeNow = new Set<Digest>();
  readonly #doneNow = new Map<Key, Done>();
  /** Key → cells of this run that wait for the one that is at it. */
  readonly #inFlight = new Map<Key, number[]>();
  readonly #others: OtherRuns;
  readonly #retries: { readonly wanted: Resources; readonly place: string; readonly give: (held: Held | null) => void }[] = [];
  #active = 0;
  #stop: string | null = null;
  #finish: () => void = () => undefined;

  constructor(context: RunContext, results: (CellResult | null)[], options: SchedulerOptions) {
    const { graph, plan } = context;
    this.#context = context;
    this.#options = options;
    this.#report = new RunReport(context);
    const dependencies = findDependencies(graph, plan.selected);
    this.#progress = new CellProgress(context, results, dependencies, this.#report, cell => this.#wait(cell));
    const timeOf = (cell: number): number => (plan.cells[cell]!.state === 'fresh' ? 0 : plan.cells[cell]!.estimateMs ?? unknownMs);
    this.#waiting = new WaitingCells(criticalPath(dependencies, timeOf), Math.max(8, 4 * options.jobs));
    const here = [...plan.selected].map(cell => graph.cells[cell]!).filter(cell => placeOf(cell) === 'local');
    this.#pool = new Places(new ResourcePool(context.machine, options.jobs, here.map(cell => cell.settings.resources)), context.executors);
    this.#others = new OtherRuns(context, cell => this.#wait(cell), () => this.#pump());
  }

  #wait(cell: Cell): void {
    this.#waiting.add(cell.index, cell.settings.resources, placeOf(cell));
  }

  get report(): RunReport {
    return this.#report;
  }

  /** Resolves when every selected cell has its result. */
  async run(): Promise<void> {
    const { signal } = this.#context;
    const ended = new Promise<void>(resolve => void (this.#finish = resolve));
    const onAbort = (): void => this.#stopStarting('the run was interrupted');
    signal.addEventListener('abort', onAbort, { once: true });
    this.#context.control.attach({ goOn: () => this.#pump(), startNoMore: why => this.#stopStarting(why) });
    if (this.#context.control.closed) this.#stop = 'the plan is out of date';
    if (signal.aborted) this.#stop = 'the run was interrupted';
    this.#progress.begin();
    this.#pump();
    await ended;
    signal.removeEventListener('abort', onAbort);
    this.#others.clear();
  }

  /** Starts what can be started now; finds out whether all is done. */
  #pump(): void {
    while (this.#stop === null && !this.#context.control.paused) {
      const spent = this.#options.budget.spent();
      if (spent !== null && this.#waiting.size > 0) {
        this.#context.emit({ event: 'notice', level: 'warning', text: `${spent}: no more cells are started` });
        this.#stopStarting(spent);
        break;
      }
      const retry = this.#retries[0];
      if (retry) {
        // A retry goes first: its cell has waited its turn already.
        const held = this.#pool.take(retry.wanted, retry.place);
        // What does not fit even alone never will: growing has made it too large.
        if (held === null && !this.#pool.idle) break;
        this.#retries.shift();
        retry.give(held);
        continue;
      }
      const next = this.#waiting.take((resources, place) => this.#pool.take(resources, place));
      if (next === null) break;
      this.#start(next.cell, next.held);
    }
    if (this.#active > 0) return;
    if (this.#stop === null && (this.#others.size > 0 || (this.#waiting.size > 0 && (this.#context.control.paused || !this.#pool.idle)))) return;
    this.#progress.skipRest(this.#stop === null ? 'it could not be started' : `not started: ${this.#stop}`);
    this.#finish();
  }

  #start(index: number, first: Held): void {
    if (this.#progress.waitsAgain(index)) return this.#pool.release(first);
    const cell = this.#context.graph.cells[index]!;
    const planned = this.#context.plan.cells[index]!;
    let held: Held | null = first;
    let claimed: Key | null = null;
    this.#active++;
    takeTurn(this.#context, cell, {
      ...this.#recordsFor(cell, planned),
      verify: this.#verifyOf(index),
      inFlight: new Set(this.#inFlight.keys()),
      doneNow: this.#progress.isRemade(index) ? new Map() : this.#doneNow,
      claim: key => {
        claimed = key;
        this.#inFlight.set(key, []);
      },
      held: first,
      exchange: async (wanted, afterMs) => {
        if (held) this.#pool.release(held);
        held = null;
        held = await this.#askAgain(wanted, placeOf(cell), afterMs);
        return held;
      },
    })
      .catch((error: unknown): CellTurn => ({ kind: 'failed', message: messageOf(error), cause: causeOf(error) }))
      .then(turn => {
        if (held) this.#pool.release(held);
        this.#active--;
        this.#handle(cell, turn, claimed);
        this.#pump();
      })
      .catch((error: unknown) => {
        // A bug or a broken database: the run cannot go on, and must not hang.
        this.#context.emit({ event: 'notice', level: 'warning', text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        this.#stopStarting('the run cannot go on');
      });
  }

  #handle(cell: Cell, turn: CellTurn, claimed: Key | null): void {
    const followers = claimed === null ? [] : this.#inFlight.get(claimed) ?? [];
    if (claimed !== null) this.#inFlight.delete(claimed);
    switch (turn.kind) {
      case 'fresh':
        this.#progress.settle(cell, turn.result);
        break;
      case 'same':
        this.#inFlight.get(turn.key)?.push(cell.index) ?? this.#wait(cell);
        break;
      case 'busy':
        if (this.#stop === null) this.#others.wait(cell, turn.holder);
        break;
      case 'inputs-gone':
        this.#makeAgain(cell, turn.producers);
        break;
      case 'refused':
        this.#report.skipped(cell, 'it ended with this key before; it starts again when that changes');
        this.#progress.end(cell.index, { kind: 'skipped' });
        break;
      case 'failed':
        this.#report.failed(cell, turn.message, turn.cause);
        // Every other cell would fail of it as well.
        if (turn.cause === 'disk-full') this.#stopStarting('the disk is full');
        this.#fail(cell);
        break;
      case 'ended':
        this.#handleEnd(cell, turn.end, turn.key);
    }
    for (const follower of followers) this.#afterSame(follower, cell);
  }

  #handleEnd(cell: Cell, end: AttemptEnd, key: Key): void {
    switch (end.status) {
      case 'ran': {
        const result: Done = { kind: 'done', outputs: end.outputs, attempt: end.attempt, actionKey: key };
        this.#doneNow.set(key, result);
        for (const { digest } of Object.values(end.outputs)) {
          this.#context.verified.add(digest);
          this.#madeNow.add(digest);
        }
        this.#report.ended(cell, end, key);
        this.#progress.end(cell.index, result);
        return;
      }
      case 'verified':
        this.#report.ended(cell, end, key);
        this.#keepVerified(cell);
        return;
      case 'lost':
        this.#context.emit({ event: 'notice', level: 'warning', cell: cell.id, text: `${cell.id}: ${end.message}` });
        this.#wait(cell);
        return;
      default:
        this.#report.ended(cell, end, key);
        this.#fail(cell);
    }
  }

  /** Which record may stand for a cell at its turn. */
  #recordsFor({ index }: Cell, planned: PlannedCell): Pick<TurnOptions, 'forced' | 'unless'> {
    const { artefacts } = this.#context.store;
    if (planned.reasons.some(({ kind }) => kind === 'forced' || kind === 'always')) return { forced: true, unless: null };
    // What its record names was gone or damaged. If another run has made it again meanwhile, it is there.
    if (this.#progress.isRemade(index)) return { forced: true, unless: output => artefacts.present(output) === 'here' };
    const gone = planned.reasons.some(({ kind }) => kind === 'output-gone' || kind === 'output-damaged');
    // Not if it was this one, for a cell that puts out the same: what the plan shows as `run` runs.
    return gone ? { forced: true, unless: output => artefacts.obtainable(output) === 'here' && !this.#madeNow.has(output.digest) } : { forced: false, unless: null };
  }

  /** What is run again to be compared is not run again to make what is gone: then it runs as any cell. */
  #verifyOf(index: number): VerifyRequest | null {
    return this.#progress.isRemade(index) ? null : this.#context.verify.get(index) ?? null;
  }

  /** Its result stands as it did, whatever the comparison came to. */
  #keepVerified(cell: Cell): boolean {
    const verify = this.#verifyOf(cell.index);
    if (verify === null) return false;
    const result: Done = { kind: 'done', outputs: verify.outputs, attempt: verify.attempt, actionKey: verify.key };
    this.#doneNow.set(verify.key, result);
    this.#report.stands(cell, verify.attempt);
    this.#progress.end(cell.index, result);
    return true;
  }

  #fail(cell: Cell): void {
    if (this.#keepVerified(cell)) return;
    if (!this.#options.keepGoing) this.#stopStarting(`${cell.id} failed`);
    this.#progress.end(cell.index, { kind: 'failed' });
  }

  /** A cell with the same key as one that has just ended: it takes that one's result, good or bad. */
  #afterSame(index: number, first: Cell): void {
    const result = this.#progress.result(first.index);
    if (result?.kind !== 'failed') return this.#wait(this.#context.graph.cells[index]!);
    const cell = this.#context.graph.cells[index]!;
    this.#report.failed(cell, `the same as ${first.id}, which failed`);
    this.#fail(cell);
  }

  #makeAgain(cell: Cell, producers: readonly number[]): void {
    const tooOften = this.#progress.makeAgain(cell.index, producers);
    if (tooOften === null) return;
    this.#report.failed(cell, `${tooOften.id} was made ${mostReopenings} times and its outputs are gone again`);
    this.#fail(cell);
  }

  async #askAgain(wanted: Resources, place: string, afterMs: number): Promise<Held | null> {
    this.#pump();
    await pause(afterMs, this.#context.signal);
    if (this.#stop !== null) return null;
    return await new Promise<Held | null>(resolve => {
      this.#retries.push({ wanted, place, give: resolve });
      this.#pump();
    });
  }

  #stopStarting(why: string): void {
    if (this.#stop !== null) return;
    this.#stop = why;
    for (const retry of this.#retries.splice(0)) retry.give(null);
    this.#others.clear();
    queueMicrotask(() => this.#pump());
  }

}
