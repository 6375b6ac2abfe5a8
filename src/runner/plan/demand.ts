/** Who is needed: a cell that will or may run needs its producers, and the files that they made. */
import type { Cell } from '../pipeline/model.ts';
import type { PlanState } from './plan-state.ts';

/** Consumers first. True when something new is demanded: then cells have to be decided again. */
export function spreadDemand(state: PlanState): boolean {
  const { context, order, decisions, demanded, revived } = state;
  let grew = false;
  const demand = (cell: number): void => {
    if (demanded[cell] === 1) return;
    demanded[cell] = 1;
    grew = true;
  };
  const revive = (producer: number, output: string, consumer: Cell): void => {
    if (reviveIfGone(state, producer, output, consumer)) grew = true;
  };
  for (let i = order.length - 1; i >= 0; i--) {
    const index = order[i]!;
    const decision = decisions[index]!.state;
    if (demanded[index] === 0 || (decision !== 'run' && decision !== 'pending' && !revived.has(index))) continue;
    const cell = context.graph.cells[index]!;
    context.producers[index]!.forEach(demand);
    cell.needs.forEach(demand);
    for (const name in cell.inputs) {
      const input = cell.inputs[name]!;
      if (input.kind === 'output') revive(input.cell, input.output, cell);
      else if (input.kind === 'gather') for (const item of input.items) revive(item.cell, input.output, cell);
    }
    if (cell.guard !== null) revive(cell.guard.decision, 'survivors', cell);
  }
  return grew;
}

function reviveIfGone(state: PlanState, producer: number, output: string, consumer: Cell): boolean {
  const { revived } = state;
  const { state: decision, record } = state.decisions[producer]!;
  if (decision !== 'fresh' || record === null || revived.has(producer)) return false;
  const artefact = record.outputs[output];
  if (artefact === undefined || state.present(artefact) === 'here') return false;
  revived.set(producer, consumer.id);
  return true;
}
