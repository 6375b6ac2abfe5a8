import type { Plan } from '../plan/model.ts';
import { notesOf } from '../store/history.ts';
import type { Store } from '../store/store.ts';
import { attemptOf } from './result-rows.ts';
import { stageGraph } from './stage-graph.ts';

/** The last note of each stage that nothing reads from: what the pipeline came to, in the stage's own words. */
export function collectNotes(plan: Plan, store: Store): { readonly stage: string; readonly text: string; readonly attempt: number }[] {
  const { edges } = stageGraph(plan.graph, null);
  const read = new Set(edges.map(edge => edge.from));
  return plan.graph.stages.flatMap(stage => {
    const planned = plan.cells[stage.first];
    if (read.has(stage.name) || stage.count !== 1 || planned?.state !== 'fresh') return [];
    const attempt = attemptOf(planned, plan, store);
    const text = attempt === null ? undefined : notesOf(store.database, attempt).at(-1);
    return attempt === null || text === undefined ? [] : [{ stage: stage.name, text, attempt }];
  });
}
