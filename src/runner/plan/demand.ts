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
  for (let i = order.length - 1; i >= 0; i--) {
    const index = order[i]!;
    const decision = decisions[index]!.state;
    if (demanded[index] === 0 || (decision !== 'run' && decision !== 'pending' && !revived.has(index))) continue;
    const cell = context.graph.cells[index]!;
    context.producers[index]!.forEach(demand);
    cell.needs.forEach(demand);
    for (const [producer, output] of wantedOutputs(cell)) if (reviveIfGone(state, producer, output, cell)) grew = true;
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

function* wantedOutputs(cell: Cell): Generator<readonly [producer: number, output: string]> {
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output') yield [input.cell, input.output];
    else if (input.kind === 'gather') for (const item of input.items) yield [item.cell, input.output];
  }
  if (cell.guard !== null) yield [cell.guard.decision, 'survivors'];
}
