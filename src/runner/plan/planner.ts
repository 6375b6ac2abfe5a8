/**
 * Cells + store → plan. A cell is fresh when its action key, which holds the digests of its inputs, has a record whose
 * outputs are there; the plan key decides only where an input is not known and nobody asks for the cell that makes it.
 */
import { decideCells, survivorReader } from './decide.ts';
import { spreadDemand } from './demand.ts';
import { refuseMissingInputs } from './missing-inputs.ts';
import type { Plan } from './model.ts';
import { keepContext, planContext } from './plan-context.ts';
import type { PlanContext, PlanOptions } from './plan-context.ts';
import { PlanState } from './plan-state.ts';
import { planOf } from './planned-cells.ts';

export type { PlatformFacts } from './manifest.ts';
export type { PlanOptions } from './plan-context.ts';

/**
 * Synchronous: about 20 µs a cell. Throws PipeError (exit 2) when a selected cell that is not fresh reads a file that
 * is not there, with all such files in one message.
 */
export function makePlan(options: PlanOptions): Plan {
  const context = planContext(options);
  // One read transaction: outside of one, each of tens of thousands of look-ups would lock and unlock the database.
  const plan = options.store.database.transaction(() => makeFrom(context, options))();
  options.store.stats.flush();
  keepContext(plan, context);
  return plan;
}

function makeFrom(context: PlanContext, options: PlanOptions): Plan {
  const state = new PlanState(context, options);
  const survivors = survivorReader(state);
  // Demand only grows, and a cell that is demanded by more cells only goes from fresh to pending: so this ends,
  // nearly always after the second round.
  do decideCells(state, survivors);
  while (spreadDemand(state));
  const selected = new Set<number>();
  for (let cell = 0; cell < state.demanded.length; cell++) if (state.demanded[cell] === 1) selected.add(cell);
  refuseMissingInputs(state, selected);
  return planOf(state, selected);
}
