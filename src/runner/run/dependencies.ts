/** Which cells wait for which, and which are worth starting first. */
import type { CellGraph } from '../pipeline/model.ts';
import { dependenciesOf } from '../pipeline/reader.ts';

export interface Dependencies {
  /** For each cell, those that have to end before it; of the selected ones only. */
  readonly before: readonly (readonly number[])[];
  readonly after: readonly (readonly number[])[];
}

export function findDependencies(graph: CellGraph, selected: ReadonlySet<number>): Dependencies {
  const before: number[][] = [];
  const after: number[][] = graph.cells.map(() => []);
  for (const cell of graph.cells) {
    const those = selected.has(cell.index) ? dependenciesOf(cell).filter(other => selected.has(other)) : [];
    before.push(those);
    for (const other of those) after[other]!.push(cell.index);
  }
  return { before, after };
}

/**
 * The length of the longest way from the start of each cell to the end of the run: who has most behind it goes first.
 * `lengthOf` is a cell's own time (any unit; 0 for one that will not run).
 */
export function criticalPath({ before, after }: Dependencies, lengthOf: (cell: number) => number): Float64Array {
  const lengths = new Float64Array(before.length);
  const open = Int32Array.from(after, list => list.length);
  const ready: number[] = [];
  for (let cell = 0; cell < before.length; cell++) if (open[cell] === 0) ready.push(cell);
  for (let cell = ready.pop(); cell !== undefined; cell = ready.pop()) {
    let behind = 0;
    for (const next of after[cell]!) behind = Math.max(behind, lengths[next]!);
    lengths[cell] = lengthOf(cell) + behind;
    for (const previous of before[cell]!) if (--open[previous]! === 0) ready.push(previous);
  }
  return lengths;
}
