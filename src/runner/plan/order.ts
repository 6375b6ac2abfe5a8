import type { Cell, CellGraph } from '../pipeline/model.ts';

/** The cells whose results a cell is made from, or whose decision it waits for; `needs:` only orders, so it is not here. */
export function producersOf(cell: Cell): number[] {
  const found: number[] = [];
  let gathers = false;
  for (const name in cell.inputs) {
    const input = cell.inputs[name]!;
    if (input.kind === 'gather') gathers = true;
    else if (input.kind === 'output' && !found.includes(input.cell)) found.push(input.cell);
  }
  if (cell.guard !== null && !found.includes(cell.guard.decision)) found.push(cell.guard.decision);
  // A set for each of tens of thousands of cells costs more than all they hold.
  return gathers ? [...new Set([...found, ...gathered(cell)])] : found;
}

function gathered(cell: Cell): number[] {
  return Object.values(cell.inputs).flatMap(input => (input.kind === 'gather' ? input.items.map(item => item.cell) : []));
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
