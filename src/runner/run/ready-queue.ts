/** Cells that could start now: the one with the longest way behind it first, ties in the pipeline's order. */

export class ReadyQueue {
  readonly #heap: number[] = [];
  readonly #priority: Float64Array;

  constructor(priority: Float64Array) {
    this.#priority = priority;
  }

  get size(): number {
    return this.#heap.length;
  }

  get first(): number | undefined {
    return this.#heap[0];
  }

  push(cell: number): void {
    const heap = this.#heap;
    heap.push(cell);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#sooner(heap[at]!, heap[parent]!)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && this.#sooner(heap[child]!, heap[least]!)) least = child;
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }

  /** All that are left, first things first; the queue is empty afterwards. */
  drain(): number[] {
    const cells: number[] = [];
    for (let cell = this.pop(); cell !== undefined; cell = this.pop()) cells.push(cell);
    return cells;
  }

  #sooner(a: number, b: number): boolean {
    const difference = this.#priority[a]! - this.#priority[b]!;
    return difference > 0 || (difference === 0 && a < b);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  }
}
