/** Tells how each cell ended, and counts. */
import type { Cell } from '../pipeline/model.ts';
import type { FailureCause, Key } from '../store/model.ts';
import type { VerificationReport } from '../store/verifications.ts';
import type { CellResult } from './cell-result.ts';
import type { CellStatus } from './event.ts';
import type { AttemptEnd } from './run-attempt.ts';
import type { RunContext } from './run-context.ts';

export type RunCounts = Readonly<Record<CellStatus, number>>;

export interface CurrentResult {
  readonly cell: string;
  readonly stage: string;
  readonly point: Cell['point'];
  readonly attempt: number;
}

export class RunReport {
  readonly #context: RunContext;
  readonly #counts: Record<CellStatus, number> = { ran: 0, fresh: 0, failed: 0, skipped: 0, tainted: 0, stopped: 0, interrupted: 0 };
  /** The last word on each cell: one that was fresh and had to run again counts once. */
  readonly #last = new Map<number, CellStatus>();
  readonly #current = new Map<number, CurrentResult>();
  #planned: ReadonlySet<number> | null = null;
  #notes: ReadonlyMap<number, string> = new Map();

  constructor(context: RunContext) {
    this.#context = context;
  }

  get counts(): RunCounts {
    return this.#counts;
  }

  /** Which attempt's result each cell has now. */
  get current(): readonly CurrentResult[] {
    return [...this.#current.values()];
  }

  fresh(cell: Cell, result: Extract<CellResult, { kind: 'done' }>): void {
    this.#count(cell, 'fresh');
    this.#keep(cell, result.attempt);
    this.#emit(cell, 'fresh', { key: result.actionKey, attempt: result.attempt, summary: this.#noteOf(result.attempt) });
  }

  stopped(cell: Cell): void {
    this.#count(cell, 'stopped');
    this.#emit(cell, 'stopped', {});
  }

  skipped(cell: Cell, message: string): void {
    this.#count(cell, 'skipped');
    this.#emit(cell, 'skipped', { message });
  }

  /** Failed without an attempt. */
  failed(cell: Cell, message: string, cause: FailureCause = 'internal'): void {
    this.#count(cell, 'failed');
    this.#emit(cell, 'failed', { message, cause });
  }

  /** What it made is gone: it counts again when it has run again. */
  reopened(cell: Cell): void {
    const before = this.#last.get(cell.index);
    if (before !== undefined) this.#counts[before]--;
    this.#last.delete(cell.index);
  }

  /** The result that the cell had stands, whatever came of running it again. */
  stands(cell: Cell, attempt: number): void {
    this.#keep(cell, attempt);
  }

  ended(cell: Cell, end: Exclude<AttemptEnd, { status: 'lost' }>, key: Key): void {
    const status = end.status === 'verified' ? 'ran' : end.status;
    this.#count(cell, status);
    if (end.status === 'ran') this.#keep(cell, end.attempt);
    const { durationMs, attempt, log } = end;
    this.#emit(cell, status, {
      durationMs, attempt, key, log, summary: end.status === 'verified' ? sameAs(end.report) : end.summary,
      ...(end.resumedFromStep === null ? {} : { resumedFromStep: end.resumedFromStep }),
      ...('report' in end && end.report !== undefined ? { verification: end.report } : {}),
      ...(end.status === 'ran' || end.status === 'verified' ? {} : { message: end.message, folder: end.folder }),
      ...(end.status === 'failed' ? { cause: end.cause, tail: end.tail } : {}),
      ...(end.status === 'interrupted' ? { cause: 'cancelled' as const } : {}),
    });
  }

  /** What the plan's fresh cells last said of themselves is asked for at once. */
  #noteOf(attempt: number): string | null {
    const { results } = this.#context.store;
    if (this.#planned === null) {
      this.#planned = new Set(this.#context.plan.cells.flatMap(({ state, record }) => (state === 'fresh' && record !== null ? [record.attempt] : [])));
      this.#notes = results.lastNotes([...this.#planned]);
    }
    return this.#planned.has(attempt) ? (this.#notes.get(attempt) ?? null) : results.lastNote(attempt);
  }

  #count(cell: Cell, status: CellStatus): void {
    this.#counts[status]++;
    this.#last.set(cell.index, status);
  }

  #keep(cell: Cell, attempt: number): void {
    this.#current.set(cell.index, { cell: cell.id, stage: this.#context.graph.stages[cell.stage]!.name, point: cell.point, attempt });
  }

  #emit(cell: Cell, status: CellStatus, details: object): void {
    this.#context.emit({
      event: 'cell.finished', cell: cell.id, stage: this.#context.graph.stages[cell.stage]!.name, status, durationMs: 0, key: null, attempt: null, summary: null,
      ...details,
    });
  }
}

function sameAs({ attempt, outputs, tolerance }: VerificationReport): string {
  const tolerated = outputs.filter(({ how }) => how === 'tolerated').map(({ output, text }) => `${output}: ${text}`);
  return `the same as attempt ${attempt}${tolerated.length === 0 ? '' : ` within ${tolerance} (${tolerated.join('; ')})`}`;
}
