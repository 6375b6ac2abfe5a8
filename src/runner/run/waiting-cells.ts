/** Ready cells, kept apart by what they ask for, so that one look at each kind of request is enough. */
import type { Resources } from '../pipeline/model.ts';
import { ReadyQueue } from './ready-queue.ts';
import type { Held } from './resources.ts';

interface Line {
  readonly place: string;
  readonly resources: Resources;
  readonly queue: ReadyQueue;
  /** How many cells of less weight were started while the first of this line did not fit. */
  passed: number;
}

export class WaitingCells {
  readonly #lines = new Map<string, Line>();
  readonly #names = new WeakMap<Resources, string>();
  readonly #priority: Float64Array;
  readonly #patience: number;

  /** `patience`: so many may pass a cell that does not fit; then all wait until it does, lest a large one never starts. */
  constructor(priority: Float64Array, patience: number) {
    this.#priority = priority;
    this.#patience = patience;
  }

  get size(): number {
    let size = 0;
    for (const { queue } of this.#lines.values()) size += queue.size;
    return size;
  }

  add(cell: number, resources: Resources, place: string): void {
    let name = this.#names.get(resources);
    if (name === undefined) {
      name = JSON.stringify(resources);
      this.#names.set(resources, name);
    }
    const id = `${place} ${name}`;
    let line = this.#lines.get(id);
    if (line === undefined) {
      line = { place, resources, queue: new ReadyQueue(this.#priority), passed: 0 };
      this.#lines.set(id, line);
    }
    line.queue.push(cell);
  }

  /** The weightiest cell whose resources are free, with them. */
  take(free: (resources: Resources, place: string) => Held | null): { readonly cell: number; readonly held: Held } | null {
    const lines = [...this.#lines.values()].filter(({ queue }) => queue.size > 0).sort((a, b) => this.#compare(a.queue.first!, b.queue.first!));
    const blocked: Line[] = [];
    const closed = new Set<string>();
    for (const line of lines) {
      if (closed.has(line.place)) continue;
      const held = free(line.resources, line.place);
      if (held !== null) {
        for (const other of blocked) if (other.place === line.place) other.passed++;
        line.passed = 0;
        return { cell: line.queue.pop()!, held };
      }
      if (line.passed >= this.#patience) closed.add(line.place);
      blocked.push(line);
    }
    return null;
  }

  drain(): number[] {
    return [...this.#lines.values()].flatMap(({ queue }) => queue.drain());
  }

  #compare(a: number, b: number): number {
    return this.#priority[b]! - this.#priority[a]! || a - b;
  }
}
