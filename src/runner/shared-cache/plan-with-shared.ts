/** A plan with what others have made: look-ups by key until nothing new is found. No output is fetched for it. */
import type { Plan } from '../plan/model.ts';
import type { SharedResults, Wanted } from './shared-results.ts';

/** `make` plans anew with what the store knows by then. */
export async function planWithShared(first: Plan, shared: SharedResults, make: () => Plan): Promise<Plan> {
  let plan = first;
  for (;;) {
    if (await restoreDecisions(plan, shared)) plan = make();
    const wanted = wantedCells(plan);
    if (wanted.length === 0 || (await shared.lookUp(plan.graph, wanted)) === 0) return plan;
    plan = make();
  }
}

/** Cells for which a result made elsewhere would do. */
export function wantedCells(plan: Plan): Wanted[] {
  return [...plan.selected].flatMap(index => {
    const { state, reasons, planKey, actionKey } = plan.cells[index]!;
    const cell = plan.graph.cells[index]!;
    if ((state !== 'run' && state !== 'pending') || !cell.settings.shared || cell.settings.always) return [];
    return reasons.some(({ kind }) => kind === 'forced') ? [] : [{ cell, planKey, actionKey }];
  });
}

/** Which members of a halving go on decides what is planned: those few bytes are needed at once. */
async function restoreDecisions(plan: Plan, shared: SharedResults): Promise<boolean> {
  let came = false;
  for (const index of plan.selected) {
    const { remote, record } = plan.cells[index]!;
    if (!remote || record === null || plan.graph.cells[index]!.action.kind !== 'decision') continue;
    for (const artefact of Object.values(record.outputs)) came = (await shared.restore(artefact)) || came;
  }
  return came;
}
