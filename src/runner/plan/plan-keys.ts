/**
 * Plan keys: inputs from other cells by these cells' plan keys, all the way up. Where everything is fresh nobody asks for
 * one, so each is made when it is asked for, with those that it rests on.
 */
import type { Json } from '../json.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import type { Key, Manifest } from '../store/model.ts';
import { keyOf } from './key.ts';
import type { ManifestReader } from './manifest.ts';

export class PlanKeys {
  readonly #graph: CellGraph;
  readonly #producers: readonly (readonly number[])[];
  readonly #reader: ManifestReader;
  readonly #keys: (Key | undefined)[];

  /** Code that cannot be keyed, say, is an error now and not once it is reached. */
  constructor(graph: CellGraph, producers: readonly (readonly number[])[], reader: ManifestReader) {
    this.#graph = graph;
    this.#producers = producers;
    this.#reader = reader;
    this.#keys = new Array<Key | undefined>(graph.cells.length).fill(undefined);
    for (const cell of graph.cells) reader.checkKeyable(cell);
  }

  of(cell: number): Key {
    const stack = [cell];
    for (let at = stack.at(-1); at !== undefined; at = stack.at(-1)) {
      const waiting = stack.length;
      if (this.#keys[at] === undefined) for (const producer of this.#producers[at]!) if (this.#keys[producer] === undefined) stack.push(producer);
      if (stack.length > waiting) continue;
      stack.pop();
      this.#keys[at] ??= keyOf('plan', this.manifest(this.#graph.cells[at]!));
    }
    return this.#keys[cell]!;
  }

  /** The manifest behind a plan key. */
  manifest(cell: Cell): Manifest {
    const other = (producer: number, output: string): Json => ({ cell: this.of(producer), output });
    return this.#reader.manifest(cell, other);
  }
}
