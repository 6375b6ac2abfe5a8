import type { Cell, CellGraph, CellId } from './model.ts';

const memo = new WeakMap<CellGraph, { ids?: ReadonlyMap<CellId, number>; names?: ReadonlyMap<string, number> }>();

function memoOf(graph: CellGraph): { ids?: ReadonlyMap<CellId, number>; names?: ReadonlyMap<string, number> } {
  let found = memo.get(graph);
  if (!found) memo.set(graph, (found = {}));
  return found;
}

/** Cells that must come first: producers of inputs, `needs:`, and the decision that guards a later rung. Each once. */
export function dependenciesOf(cell: Cell): number[] {
  const found = new Set<number>(cell.needs);
  for (const name in cell.inputs) {
    const input = cell.inputs[name]!;
    if (input.kind === 'output') found.add(input.cell);
    else if (input.kind === 'gather') for (const item of input.items) found.add(item.cell);
  }
  if (cell.guard) found.add(cell.guard.decision);
  return [...found];
}

/** For each cell, by index: the cells that depend on it. */
export function readersOf(graph: CellGraph): number[][] {
  const readers: number[][] = graph.cells.map(() => []);
  for (const cell of graph.cells) for (const before of dependenciesOf(cell)) readers[before]!.push(cell.index);
  return readers;
}

/** Index of each cell by its printed id. */
export function cellsById(graph: CellGraph): ReadonlyMap<CellId, number> {
  return (memoOf(graph).ids ??= new Map(graph.cells.map(cell => [cell.id, cell.index])));
}

/** Index of each stage by its name. */
export function stagesByName(graph: CellGraph): ReadonlyMap<string, number> {
  return (memoOf(graph).names ??= new Map(graph.stages.map((stage, index) => [stage.name, index])));
}
