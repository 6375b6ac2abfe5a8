/** Why a halving stopped a cell, from the decision as it was recorded. */
import type { Cell } from '../pipeline/model.ts';
import type { Plan } from '../plan/model.ts';
import { rankingOf, readDecision } from '../run/decision.ts';
import type { Store } from '../store/store.ts';

/** `stopped after rung 4000: validation_loss 2.61 is number 6 of 8, and 4 went on`. */
export function stoppedText(plan: Plan, store: Store, index: number): string {
  const cell = firstStopped(plan, plan.graph.cells[index]!);
  const decided = cell.guard === null ? undefined : plan.cells[cell.guard.decision];
  const artefact = decided?.record?.outputs['survivors'];
  if (cell.guard === null || artefact === undefined || store.artefacts.present(artefact) !== 'here') return 'stopped by halving';
  const { member, decision: at } = cell.guard;
  const decision = readDecision(store.artefacts.pathOf(artefact));
  const ranking = rankingOf(decision);
  const place = ranking.indexOf(member);
  const said = place < 0 ? `it has no ${decision.metric}` : `${decision.metric} ${decision.scores[member]!.toPrecision(4)} is number ${place + 1} of ${ranking.length}`;
  return `stopped after rung ${String(plan.graph.cells[at]!.point['rung'])}: ${said}, and ${decision.survivors.length} went on`;
}

/** The cell that the decision stopped, whose stop is why this one is: it may be a later rung of it, or read it. */
function firstStopped(plan: Plan, cell: Cell): Cell {
  for (const input of Object.values(cell.inputs)) {
    if (input.kind === 'output' && plan.cells[input.cell]?.state === 'stopped') return firstStopped(plan, plan.graph.cells[input.cell]!);
  }
  return cell;
}
