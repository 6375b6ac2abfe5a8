/** Which cells wait for which, and which are worth starting first. */
import type { Cell, CellGraph } from '../pipeline/model.ts';

export interface Dependencies {
  /** For each cell, those that have to end before it; of the selected ones only. */
  readonly before: readonly (readonly number[])[];
  readonly after: readonly (readonly number[])[];
}

export function cellsBefore(cell: Cell): Set<number> {
  const found = new Set<number>(cell.needs);
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') found.add(input.cell);
    else if (input.kind === 'gather') for (const item of input.items) found.add(item.cell);
  }
  if (cell.guard) found.add(cell.guard.decision);
  return found;
}

export function findDependencies(graph: CellGraph, selected: ReadonlySet<number>): Dependencies {
  const before: number[][] = [];
  const after: number[][] = graph.cells.map(() => []);
  for (const cell of graph.cells) {
    const those = selected.has(cell.index) ? [...cellsBefore(cell)].filter(other => selected.has(other)) : [];
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
