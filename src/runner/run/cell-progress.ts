/** How each cell of a run stands: what it waits for, its result, and what its result sets free. */
import type { Cell } from '../pipeline/model.ts';
import { makeVisible } from './after-commit.ts';
import { readiness } from './cell-result.ts';
import type { CellResult } from './cell-result.ts';
import { decisionFile, readSurvivors } from './decision.ts';
import type { Dependencies } from './dependencies.ts';
import { Reopenings } from './reopenings.ts';
import type { RunContext } from './run-context.ts';
import type { RunReport } from './run-report.ts';
import { TempOutputs } from './temp-outputs.ts';

export type Done = Extract<CellResult, { kind: 'done' }>;

export class CellProgress {
  readonly #context: RunContext;
  readonly #results: (CellResult | null)[];
  readonly #dependencies: Dependencies;
  readonly #report: RunReport;
  readonly #ready: (cell: Cell) => void;
  /** How many cells each one still waits for. */
  readonly #open: Int32Array;
  readonly #reopenings = new Reopenings();
  readonly #temp: TempOutputs;

  /** `ready` is called for each cell that waits for nothing any more and has to have its turn. */
  constructor(context: RunContext, results: (CellResult | null)[], dependencies: Dependencies, report: RunReport, ready: (cell: Cell) => void) {
    this.#context = context;
    this.#results = results;
    this.#dependencies = dependencies;
    this.#report = report;
    this.#ready = ready;
    this.#open = Int32Array.from(dependencies.before, list => list.length);
    this.#temp = new TempOutputs(context.graph, context.store, context.plan.selected);
  }

  /** Settles what the plan has settled already, and lets those cells arrive that wait for nothing. */
  begin(): void {
    const { plan } = this.#context;
    // Found before settled cells make others arrive: none may arrive twice.
    const first = [...plan.selected].filter(cell => this.#open[cell] === 0);
    this.#takePlanned();
    for (const cell of first) if (this.#results[cell] === null) this.#arrive(cell);
  }

  result(cell: number): CellResult | null {
    return this.#results[cell] ?? null;
  }

  /** Whether the cell runs in this run because what it had made is gone. */
  isRemade(cell: number): boolean {
    return this.#reopenings.has(cell);
  }

  /** Its result is one that was there. */
  settle(cell: Cell, result: Done): void {
    this.#report.fresh(cell, result);
    makeVisible(this.#context, cell, result.outputs);
    this.end(cell.index, result);
  }

  /** The cell has its result; those that waited for it may go on. */
  end(index: number, result: CellResult): void {
    this.#results[index] = result;
    if (result.kind === 'done') this.#temp.done(index, cell => this.#results[cell] ?? null);
    for (const next of this.#reopenings.close(index) ?? this.#dependencies.after[index]!) {
      if (--this.#open[next]! === 0 && this.#results[next] === null) this.#arrive(next);
    }
  }

  /** Whether something that the cell reads was opened again since it arrived; it arrives once more when that has its result. */
  waitsAgain(index: number): boolean {
    const missing = this.#dependencies.before[index]!.filter(other => this.#results[other] === null);
    this.#waitFor(index, missing);
    return missing.length > 0;
  }

  /** What the cell reads is gone: its producers run again, and it arrives once more after them. Null, or the one that was asked too often. */
  makeAgain(index: number, producers: readonly number[]): Cell | null {
    for (const producer of producers) {
      if (this.#results[producer] === null) continue;
      const cell = this.#context.graph.cells[producer]!;
      if (!this.#reopenings.count(producer)) return cell;
      this.#reopenings.open(producer);
      this.#results[producer] = null;
      this.#report.reopened(cell);
      this.#arrive(producer);
    }
    this.#waitFor(index, producers);
    return null;
  }

  /** Cells that never had their turn. */
  skipRest(why: string): void {
    for (const index of this.#context.plan.selected) {
      if (this.#results[index] !== null) continue;
      this.#results[index] = { kind: 'skipped' };
      this.#report.skipped(this.#context.graph.cells[index]!, why);
    }
  }

  /** What the plan has settled already: fresh cells, and those that a decision left out. */
  #takePlanned(): void {
    const { plan, graph } = this.#context;
    for (const index of plan.selected) {
      const planned = plan.cells[index]!;
      const cell = graph.cells[index]!;
      if (planned.state === 'fresh' && planned.record !== null) {
        const { record } = planned;
        this.settle(cell, { kind: 'done', outputs: record.outputs, attempt: record.attempt, actionKey: planned.actionKey });
      } else if (planned.state === 'stopped') {
        this.end(index, { kind: 'stopped' });
        this.#report.stopped(cell);
      }
    }
  }

  /** All that the cell waits for has ended. */
  #arrive(index: number): void {
    const cell = this.#context.graph.cells[index]!;
    const planned = this.#context.plan.cells[index]!;
    if (planned.state === 'fresh' && planned.record !== null && !this.#reopenings.isOpen(index)) return; // its turn comes in #takePlanned
    const state = readiness(cell, other => this.#resultOf(other), () => this.#survives(cell));
    switch (state.kind) {
      case 'ready':
        return this.#ready(cell);
      case 'stopped':
        this.#report.stopped(cell);
        return this.end(index, { kind: 'stopped' });
      case 'skipped':
        this.#report.skipped(cell, `${this.#context.graph.cells[state.because]!.id} did not end well`);
        return this.end(index, { kind: 'skipped' });
    }
  }

  #survives({ guard }: Cell): boolean {
    if (guard === null) return true;
    const decision = this.#resultOf(guard.decision);
    if (decision.kind !== 'done') return false;
    return readSurvivors(decisionFile(this.#context.store, decision.outputs)).includes(guard.member);
  }

  #waitFor(index: number, producers: readonly number[]): void {
    for (const producer of producers) if (this.#reopenings.ask(producer, index)) this.#open[index]!++;
  }

  #resultOf(cell: number): CellResult {
    return this.#results[cell] ?? { kind: 'skipped' };
  }
}
