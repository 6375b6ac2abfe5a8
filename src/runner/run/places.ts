/** Room for cells in all places where they run: this machine's resources, and the slots of each other one. */
import type { Cell, Resources } from '../pipeline/model.ts';
import type { Executor } from './executor.ts';
import type { ResourcePool, Held } from './resources.ts';

/** Decisions are made by the runner itself. */
export const placeOf = (cell: Cell): string => (cell.action.kind === 'decision' ? 'local' : cell.settings.on);

export class Places {
  readonly #here: ResourcePool;
  readonly #executors: (name: string) => Executor;
  readonly #used = new Map<string, number>();
  readonly #elsewhere = new WeakMap<Held, string>();

  constructor(here: ResourcePool, executors: (name: string) => Executor) {
    this.#here = here;
    this.#executors = executors;
  }

  get idle(): boolean {
    return this.#here.idle && [...this.#used.values()].every(count => count === 0);
  }

  /** What a cell takes there, or null when there is no room now. Another host gives cores and GPUs itself, when the cell starts. */
  take(resources: Resources, place: string): Held | null {
    if (place === 'local') return this.#here.take(resources);
    const used = this.#used.get(place) ?? 0;
    if (used >= (this.#executors(place).slots ?? Number.POSITIVE_INFINITY)) return null;
    this.#used.set(place, used + 1);
    const held: Held = { cpu: resources.cpu, memory: resources.memory, gpus: [], gpuShare: typeof resources.gpu === 'number' && resources.gpu < 1 ? resources.gpu : 1, gpuMemory: 0, named: {} };
    this.#elsewhere.set(held, place);
    return held;
  }

  release(held: Held): void {
    const place = this.#elsewhere.get(held);
    if (place === undefined) this.#here.release(held);
    else this.#used.set(place, (this.#used.get(place) ?? 1) - 1);
  }
}
