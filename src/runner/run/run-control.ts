/** Steering a run while it goes on: pausing it, and stopping cells whose keys have changed. */
import type { Key } from '../store/model.ts';

export interface RunningCell {
  readonly cell: string;
  readonly key: Key;
  readonly planKey: Key;
}

/** What the scheduler does when it is steered. */
interface Steered {
  readonly goOn: () => void;
  readonly startNoMore: (why: string) => void;
}

export class RunControl {
  readonly #running = new Map<string, RunningCell & { readonly stop: AbortController }>();
  #paused = false;
  #closed = false;
  #steered: Steered | null = null;

  /** No cell is started meanwhile; running ones go on, retries wait. */
  get paused(): boolean {
    return this.#paused;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#steered?.goOn();
  }

  /** Cells that are running now. */
  get running(): readonly RunningCell[] {
    return [...this.#running.values()];
  }

  /** Asks one running cell to stop, as Ctrl-C would: it is settled anew and starts again, unless no more cells are started. */
  stopCell(cell: string): void {
    this.#running.get(cell)?.stop.abort('changed');
  }

  /** The plan is out of date: running cells go on to their ends. */
  startNoMore(why: string): void {
    this.#closed = true;
    this.#steered?.startNoMore(why);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** For the scheduler of the run. */
  attach(steered: Steered): void {
    this.#steered = steered;
  }

  /** For an attempt: the signal that asks it alone to stop. */
  began(cell: RunningCell): AbortSignal {
    const stop = new AbortController();
    this.#running.set(cell.cell, { ...cell, stop });
    return stop.signal;
  }

  ended(cell: string): void {
    this.#running.delete(cell);
  }
}
