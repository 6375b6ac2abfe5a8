/** Cells that have to run again within one run, because what they made is gone, and who asked for them. */

/** A cell whose output is gone again as often as this is not asked any more. */
export const mostReopenings = 3;

export class Reopenings {
  /** Open ones → the cells that wait for them. */
  readonly #asked = new Map<number, Set<number>>();
  readonly #times = new Map<number, number>();

  /** Whether the cell was run again in this run, or will be. */
  has(cell: number): boolean {
    return this.#times.has(cell);
  }

  isOpen(cell: number): boolean {
    return this.#asked.has(cell);
  }

  /** One more time for a cell; false when that is once too often. */
  count(cell: number): boolean {
    const times = (this.#times.get(cell) ?? 0) + 1;
    if (times > mostReopenings) return false;
    this.#times.set(cell, times);
    return true;
  }

  open(cell: number): void {
    this.#asked.set(cell, new Set());
  }

  /** Whether this is the first time that `by` asks for an open cell. */
  ask(cell: number, by: number): boolean {
    const asked = this.#asked.get(cell);
    if (asked === undefined || asked.has(by)) return false;
    asked.add(by);
    return true;
  }

  /** The cell has its result: those that asked for it, or null where nobody had to. */
  close(cell: number): ReadonlySet<number> | null {
    const asked = this.#asked.get(cell) ?? null;
    this.#asked.delete(cell);
    return asked;
  }
}
