/** How long things took before: what a plan says about time. */
import type { CellGraph } from '../pipeline/model.ts';
import type { Store } from '../store/store.ts';
import type { CellState } from './model.ts';

export interface Estimates {
  /** Milliseconds for a cell that will or may run, from its own history or its stage's; null without any. */
  of(cell: number, stage: string, id: string): number | null;
  /** The critical path over the cells that will or may run; null without history of any of them. */
  total(producers: readonly (readonly number[])[], order: Int32Array, selected: ReadonlySet<number>): number | null;
}

export function estimates(graph: CellGraph, store: Store, states: readonly CellState[]): Estimates {
  const ofStage = new Map<string, number | null>();
  const known = new Map<number, number>();
  const open = (cell: number): boolean => states[cell] === 'run' || states[cell] === 'pending';
  return {
    of(cell, stage, id) {
      if (!open(cell)) return null;
      if (!ofStage.has(stage)) ofStage.set(stage, store.results.durations.ofStage(stage));
      // A stage without any history spares a question for each of its cells.
      if (ofStage.get(stage) === null) return null;
      const own = store.results.durations.ofCell(graph.pipeline, id) ?? ofStage.get(stage)!;
      known.set(cell, own);
      return own;
    },
    total(producers, order, selected) {
      if (known.size === 0) return null;
      const ends = new Float64Array(order.length);
      let longest = 0;
      for (const cell of order) {
        let start = 0;
        for (const producer of producers[cell]!) start = Math.max(start, ends[producer]!);
        ends[cell] = start + (selected.has(cell) ? (known.get(cell) ?? 0) : 0);
        longest = Math.max(longest, ends[cell]!);
      }
      return longest;
    },
  };
}
