/** Takes what a finished stage has written into the store. */
import { lstatSync } from 'node:fs';
import { basename } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { Cell } from '../pipeline/model.ts';
import type { Artefact, FailureCause } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { AttemptRecorder } from './attempt-recorder.ts';
import type { Outputs } from './cell-result.ts';
import type { ArtefactElsewhere } from './executor.ts';
import { readMetricsFile } from './metrics-file.ts';
import { outputPaths } from './work-folder.ts';

export type Collected = { readonly ok: true; readonly outputs: Outputs } | { readonly ok: false; readonly cause: FailureCause; readonly message: string };

/** `elsewhere`: outputs that stay on the host that made them. */
export async function collectOutputs(
  store: Store, cell: Cell, folder: string, recorder: AttemptRecorder, elsewhere: Readonly<Record<string, ArtefactElsewhere>> = {},
): Promise<Collected> {
  const trouble = checkOutputs(cell, folder, recorder, elsewhere);
  if (trouble !== null) return trouble;
  const outputs: Record<string, Artefact> = {};
  for (const [name, path] of Object.entries(outputPaths(cell, folder))) {
    const away = elsewhere[name];
    if (away !== undefined) {
      store.artefacts.noteElsewhere(away.artefact.digest, away.host);
      outputs[name] = away.artefact;
      continue;
    }
    try {
      outputs[name] = await store.artefacts.add(path, basename(cell.outputs[name]!.path));
    } catch (error) {
      if (error instanceof PipeError) return { ok: false, cause: 'missing-output', message: `the output ${name}: ${error.message}${error.hint === null ? '' : ` (${error.hint})`}` };
      throw error;
    }
  }
  return { ok: true, outputs };
}

/** Whether all outputs are there and of their kinds; metrics in them are recorded. Null when all is well. */
export function checkOutputs(
  cell: Cell, folder: string, recorder: AttemptRecorder, elsewhere: Readonly<Record<string, ArtefactElsewhere>> = {},
): Extract<Collected, { ok: false }> | null {
  const paths = outputPaths(cell, folder);
  // All are looked at before the first is taken, so that a message names all that is wrong.
  const wrong: string[] = [];
  const metrics: string[] = [];
  for (const [name, path] of Object.entries(paths)) {
    const { kind, path: declared } = cell.outputs[name]!;
    const away = elsewhere[name];
    if (away !== undefined) {
      if (kind !== 'any' && (kind === 'folder') !== (away.artefact.type === 'folder')) wrong.push(`the output ${name} (${declared}) is a ${away.artefact.type}`);
      continue;
    }
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) wrong.push(`the output ${name} (${declared}) was not written`);
    else if (kind === 'folder' && !stat.isDirectory()) wrong.push(`the output ${name} (${declared}) is not a folder`);
    else if ((kind === 'file' || kind === 'metrics') && stat.isDirectory()) wrong.push(`the output ${name} (${declared}) is a folder and should be a file`);
    else if (kind === 'metrics') metrics.push(name);
  }
  if (wrong.length > 0) return { ok: false, cause: 'missing-output', message: wrong.join('; ') };
  for (const name of metrics) {
    try {
      recorder.ingest(readMetricsFile(paths[name]!));
    } catch (error) {
      return { ok: false, cause: 'missing-output', message: `the output ${name} is no metrics file: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  return null;
}
