import type { Cell, CellGraph } from '../pipeline/model.ts';

/** The cells whose results a cell is made from, or whose decision it waits for; `needs:` only orders, so it is not here. */
export function producersOf(cell: Cell): number[] {
  const found = new Set<number>();
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') found.add(input.cell);
    else if (input.kind === 'gather') for (const item of input.items) found.add(item.cell);
  }
  if (cell.guard !== null) found.add(cell.guard.decision);
  return [...found];
}

/** Every cell after its producers. Cells lie in this order already, but for those that wait for a halving decision. */
export function topologicalOrder(graph: CellGraph, producers: readonly (readonly number[])[]): Int32Array {
  const order = new Int32Array(graph.cells.length);
  if (producers.every((list, cell) => list.every(producer => producer < cell))) return order.map((_, index) => index);
  const done = new Uint8Array(graph.cells.length);
  let count = 0;
  for (let start = 0; start < graph.cells.length; start++) {
    const stack = [start];
    while (stack.length > 0) {
      const cell = stack.at(-1)!;
      const open = done[cell] === 0 ? producers[cell]!.filter(producer => done[producer] === 0) : [];
      if (open.length > 0) {
        stack.push(...open);
        continue;
      }
      stack.pop();
      if (done[cell] === 0) {
        done[cell] = 1;
        order[count++] = cell;
      }
    }
  }
  return order;
}
