import type { Problems, Place } from './problems.ts';
import type { StageState } from './stage-state.ts';

export interface StageEdge {
  readonly to: StageState;
  readonly at: Place;
}

/**
 * Stages with producers before consumers, else in their written order. A cycle is noted at the reference that closes
 * it; its edge is then left out.
 */
export function orderStages(stages: readonly StageState[], edges: (stage: StageState) => readonly StageEdge[], problems: Problems): StageState[] {
  const done = new Set<StageState>();
  const result: StageState[] = [];
  // An explicit stack: chains of tens of thousands of stages are longer than the language's own.
  for (const start of stages) {
    const stack: { readonly stage: StageState; readonly edges: readonly StageEdge[]; next: number }[] = [];
    const open = new Set<StageState>();
    const enter = (stage: StageState): void => {
      if (done.has(stage)) return;
      open.add(stage);
      stack.push({ stage, edges: edges(stage), next: 0 });
    };
    enter(start);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const edge = top.edges[top.next++];
      if (!edge) {
        stack.pop();
        open.delete(top.stage);
        done.add(top.stage);
        result.push(top.stage);
      } else if (open.has(edge.to)) {
        const names = stack.map(entry => entry.stage.name);
        const cycle = [...names.slice(names.indexOf(edge.to.name)), edge.to.name];
        problems.add({ code: 'cycle', message: cycle.length === 2 ? `stage \`${edge.to.name}\` needs itself` : `stages need each other: ${[...cycle].reverse().join(' → ')}`, at: edge.at, hint: 'a stage cannot come before what it is made from' });
      } else enter(edge.to);
    }
  }
  return result;
}
