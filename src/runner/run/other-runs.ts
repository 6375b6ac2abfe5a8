/** Cells that another run on the same cache is at: waited for, and taken over when that run is gone. */
import type { Cell } from '../pipeline/model.ts';
import type { LeaseHolder } from './leases.ts';
import { describeOwner } from './owner.ts';
import type { RunContext } from './run-context.ts';

const pollMs = 250;

export class OtherRuns {
  readonly #context: RunContext;
  readonly #waiting = new Map<Cell, LeaseHolder>();
  readonly #ready: (cell: Cell) => void;
  readonly #looked: () => void;
  #timer: NodeJS.Timeout | null = null;

  /** `ready`: the cell may be settled again. `looked`: after each look, whatever came of it. */
  constructor(context: RunContext, ready: (cell: Cell) => void, looked: () => void) {
    this.#context = context;
    this.#ready = ready;
    this.#looked = looked;
  }

  get size(): number {
    return this.#waiting.size;
  }

  wait(cell: Cell, holder: LeaseHolder): void {
    this.#waiting.set(cell, holder);
    this.#context.emit({ event: 'cell.waiting', cell: cell.id, holder: `run ${holder.run}, ${describeOwner(holder)}` });
    this.#timer ??= setTimeout(() => void this.#look(), pollMs);
  }

  /** Waits for none of them any more. */
  clear(): void {
    this.#waiting.clear();
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #look(): Promise<void> {
    try {
      for (const [cell, holder] of [...this.#waiting]) if (await this.#isFree(holder)) this.#waiting.delete(cell) && this.#ready(cell);
    } catch {
      // A locked database, most likely: the next look is soon.
    }
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => void this.#look(), pollMs) : null;
    this.#looked();
  }

  async #isFree({ key }: LeaseHolder): Promise<boolean> {
    const { leases, emit } = this.#context;
    const now = leases.holder(key);
    if (now === null) return true;
    if (leases.judge(now) === 'working') return false;
    if (await leases.clear(now)) emit({ event: 'notice', level: 'warning', cell: now.cell, text: `${now.cell}: taken over from ${describeOwner(now)}, which is gone` });
    return true;
  }
}
