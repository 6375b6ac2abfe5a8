/** A record found in a shared cache becomes one of this cache: with its attempt, metrics and manifest, and no files yet. */
import { join } from 'node:path';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { keyOf } from '../plan/key.ts';
import type { Digest, Key } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { BadEntry } from './remote.ts';
import type { ResultDetails, SharedRecord } from './record.ts';
import { recordShared } from './shared-artefacts.ts';

export interface Found {
  readonly record: SharedRecord;
  readonly details: ResultDetails;
}

/** Throws BadEntry for a record that is not one of this cell. */
export function checkRecord(cell: Cell, { record, details }: Found): void {
  if (keyOf('action', details.manifest) !== record.actionKey) throw new BadEntry('what it says it was made from does not come to its key');
  for (const name of Object.keys(cell.outputs)) if (!Object.hasOwn(record.outputs, name)) throw new BadEntry(`it lacks the output ${name}`);
}

/** In one transaction. `planKey`: the cell's own, recorded where the record says that it stands for this result. */
export function importRecord(store: Store, graph: CellGraph, cell: Cell, planKey: Key, { record, details }: Found, cache: string): number {
  const outputs = Object.fromEntries(Object.entries(record.outputs).map(([name, { artefact }]) => [name, artefact]));
  return store.database.transaction(() => {
    const attempt = store.results.beginAttempt({
      run: runOf(store, graph, cache), pipeline: graph.pipeline, stage: graph.stages[cell.stage]!.name, cell: cell.id, point: cell.point, params: cell.with,
      planKey, actionKey: record.actionKey, manifest: details.manifest, host: record.host, startedAt: record.startedAt,
      log: join(store.cache, 'logs', `shared-${record.actionKey.slice(0, 16)}.log`), platform: details.platform,
    });
    store.results.recordMetrics(attempt, details.metrics.map(([name, step, value]) => ({ name, step, value: Number(value) })));
    for (const note of details.notes) store.results.recordNote(attempt, note);
    store.results.finishAttempt(
      attempt,
      {
        status: 'ran', endedAt: record.endedAt, cpuSeconds: record.cpuSeconds, peakMemoryBytes: record.peakMemoryBytes, gpu: record.gpu,
        exitCode: record.exitCode, signal: null, cause: null, message: null, logDigest: record.log?.digest ?? null,
      },
      record.planKey === planKey ? { plan: planKey, action: record.actionKey } : { action: record.actionKey },
      outputs,
    );
    for (const { artefact, contents } of Object.values(record.outputs)) if (contents !== null) recordShared(store.database, cache, artefact.digest, contents);
    if (record.log !== null) {
      const { digest, blob } = record.log;
      recordShared(store.database, cache, digest as Digest, { kind: 'file', piece: { ...blob, files: [{ path: '', executable: false, size: blob.size, digest }] } });
    }
    return attempt;
  }).immediate();
}

/** Attempts belong to a run: one for all that a pipeline has found in a shared cache. */
function runOf(store: Store, graph: CellGraph, cache: string): number {
  const known = store.database.prepare<[string, string], { id: number }>('SELECT id FROM run WHERE shared = ? AND pipeline = ? ORDER BY id DESC LIMIT 1').get(cache, graph.pipeline);
  if (known !== undefined) return known.id;
  const now = Date.now();
  const run = store.results.beginRun({
    pipeline: graph.pipeline, file: graph.file, root: graph.root, profile: graph.profile, overrides: graph.overrides, params: graph.params,
    command: [], host: '', pid: process.pid, version: '', startedAt: now,
  });
  store.results.finishRun(run, { endedAt: now, exitCode: 0, summary: {} });
  store.database.prepare('UPDATE run SET shared = ? WHERE id = ?').run(cache, run);
  return run;
}
