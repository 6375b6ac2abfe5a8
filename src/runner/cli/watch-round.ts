/** What a round of `--watch` has to run, and what a change means for cells that are running. */
import { cellsById, dependenciesOf } from '../pipeline/reader.ts';
import type { CellId, CellSettings } from '../pipeline/model.ts';
import type { Plan } from '../plan/model.ts';
import type { RunControl } from '../run/run-control.ts';
import type { RunEvent } from '../run/event.ts';
import type { Key } from '../store/model.ts';

/** How the cells of the rounds so far ended, so that a failed one starts again only when its key has changed. */
export class WatchHistory {
  readonly #ended = new Map<string, { readonly planKey: Key; readonly failed: boolean }>();
  /** Action keys that are not started again: they failed, or belong to `always` cells that had their turn. */
  readonly refused = new Set<Key>();

  record(plan: Plan, event: RunEvent): void {
    if (event.event !== 'cell.finished' || (event.status !== 'ran' && event.status !== 'fresh' && event.status !== 'failed')) return;
    const index = cellsById(plan.graph).get(event.cell as CellId);
    if (index === undefined) return;
    const planned = plan.cells[index]!;
    const failed = event.status === 'failed';
    this.#ended.set(event.cell, { planKey: planned.planKey, failed });
    const { always } = plan.graph.cells[index]!.settings;
    if (event.key !== null && (failed || always)) this.refused.add(event.key as Key);
  }

  /** Whether anything is left to run but what ended with the same key before, and what waits for such a failure. */
  wants(plan: Plan): boolean {
    const { cells } = plan.graph;
    const blocked = new Set<number>();
    let wanted = false;
    // Cells lie behind those that they depend on, but for guards, which only make a round that runs nothing.
    for (const { cell: index, state, planKey, reasons } of plan.cells) {
      if (!plan.selected.has(index) || (state !== 'run' && state !== 'pending')) continue;
      const cell = cells[index]!;
      const before = this.#ended.get(cell.id);
      const sameKey = before !== undefined && before.planKey === planKey;
      const lost = reasons.some(({ kind }) => kind === 'output-gone' || kind === 'output-damaged');
      if ((sameKey && before.failed) || dependenciesOf(cell).some(other => blocked.has(other))) blocked.add(index);
      else if (!sameKey || lost) wanted = true;
    }
    return wanted;
  }
}

/**
 * Steers a running round by the plan as it is after a change. Cells whose key changed are stopped, if `on_change` says
 * so: they start anew in the same round where only files changed and their inputs are ready; otherwise no more cells
 * are started, and the next round takes over when those that still run have ended.
 */
export function steer(control: RunControl, running: Plan, now: Plan): void {
  const changed = control.running.flatMap(({ cell, key, planKey }) => {
    const index = cellsById(now.graph).get(cell as CellId);
    const planned = index === undefined ? undefined : now.cells[index];
    const isSame = planned !== undefined && (planned.actionKey === null ? planned.planKey === planKey : planned.actionKey === key);
    return isSame ? [] : [{ cell, planned, settings: settingsOf(index === undefined ? running : now, cell) }];
  });
  if (!sameCells(running, now)) control.startNoMore('the pipeline changed');
  else if (changed.some(({ planned }) => planned?.actionKey == null)) control.startNoMore('what the running cells depend on changed');
  for (const { cell, settings } of changed) if (settings?.onChange !== 'finish') control.stopCell(cell);
}

const settingsOf = ({ graph }: Plan, id: string): CellSettings | undefined => graph.cells[cellsById(graph).get(id as CellId) ?? -1]?.settings;

/** Whether both graphs have the same cells with the same settings; files that they read may have changed. */
const sameCells = (a: Plan, b: Plan): boolean => JSON.stringify([a.graph.cells, a.graph.stages]) === JSON.stringify([b.graph.cells, b.graph.stages]);
