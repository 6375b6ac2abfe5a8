/** What follows the commit of an attempt: links, copies in the project, folders that have served, the shared cache. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cell } from '../pipeline/model.ts';
import type { Settled } from '../plan/settle.ts';
import { showOutputs } from '../store/links.ts';
import type { Artefact, Key } from '../store/model.ts';
import { publishOutputs, unpublished } from '../store/publish.ts';
import type { Outputs } from './cell-result.ts';
import { dropEarlierFolders } from './recover.ts';
import type { RunContext } from './run-context.ts';
import { messageOf } from './trouble.ts';
import { removeWorkFolder } from './work-folder.ts';

/**
 * What follows a commit and may be done again by the next run if this one ends here. Trouble with it does not undo the result. Cells
 * that read the outputs need not wait for it; those that only come after this one may look at what people look at.
 */
export function settleDown(context: RunContext, cell: Cell, place: { key: Key; attempt: number; folder: string }, outputs: Outputs): void {
  const looked = Object.keys(context.graph.stages[cell.stage]!.publish).length > 0 || context.comeAfter.has(cell.index);
  if (looked) return tidyUp(context, cell, place, outputs);
  context.inBackground(nextTurn().then(() => tidyUp(context, cell, place, outputs)));
}

function tidyUp(context: RunContext, cell: Cell, { key, attempt, folder }: { key: Key; attempt: number; folder: string }, outputs: Outputs): void {
  makeVisible(context, cell, outputs);
  const earlier = context.store.results.hasEarlierAttempt(key, attempt);
  if (earlier) context.inBackground(dropEarlierFolders(context.store.cache, key));
  else if (!context.spare.give(folder)) context.inBackground(removeWorkFolder(folder));
  if (cell.settings.checkpoint) context.inBackground(removeWorkFolder(join(context.store.cache, 'checkpoints', key)));
}

/** To others, where the shared cache is written to. */
export function push({ shared, inBackground }: RunContext, { cell, settled }: { readonly cell: Cell; readonly settled: Settled }, attempt: number, outputs: Outputs): void {
  if (shared === null || !cell.settings.shared || cell.settings.always) return;
  const temp = new Set(Object.entries(cell.outputs).flatMap(([name, output]) => (output.temp ? [name] : [])));
  const result = { attempt, actionKey: settled.actionKey, planKey: settled.planKey, outputs, temp };
  inBackground(shared.writes().then(async writes => (writes ? await shared.pushAfterCommit(cell.id, result) : undefined)));
}

/** Links in cache/out and copies in the project, of a cell that ran or is fresh. Troubles with them do not undo the result. */
export function makeVisible(context: RunContext, cell: Cell, outputs: Outputs): void {
  const { store, graph } = context;
  const kept: Record<string, Artefact> = {};
  for (const name in outputs) if (cell.outputs[name]?.temp !== true) kept[name] = outputs[name]!;
  try {
    showOutputs(store, graph, cell, kept);
    if (Object.keys(graph.stages[cell.stage]!.publish).length === 0) return;
    const away = takeAway(context, kept);
    publishOutputs(store, graph, cell, kept);
    if (store.artefacts.supply !== null && Object.keys(away).length > 0) publishFromElsewhere(context, cell, away);
  } catch (error) {
    context.emit({ event: 'notice', level: 'warning', cell: cell.id, text: `outputs could not be shown: ${messageOf(error)}` });
  }
}

/** Takes out of `kept` what only a host or a shared cache has, and gives it. */
function takeAway({ store: { artefacts } }: RunContext, kept: Record<string, Artefact>): Record<string, Artefact> {
  const away: Record<string, Artefact> = {};
  for (const [name, artefact] of Object.entries(kept)) {
    if (existsSync(artefacts.pathOf(artefact)) || (artefacts.supply === null && artefacts.elsewhere(artefact.digest).length === 0)) continue;
    away[name] = artefact;
    delete kept[name];
  }
  return away;
}

/** A copy in the project is asked for by the pipeline: for that it is brought here. */
function publishFromElsewhere(context: RunContext, cell: Cell, away: Readonly<Record<string, Artefact>>): void {
  for (const [name, artefact] of unpublished(context.store, context.graph, cell, away)) {
    context.inBackground(context.store.artefacts.supply!.restore(artefact).then(came => {
      if (came) makeVisible(context, cell, { [name]: artefact });
    }));
  }
}
