import { expect, onTestFinished, test } from 'vitest';
import { listRuns, lastMetricsOf, metricsOf, notesOf, paramsOf } from '../../../src/runner/store/history.ts';
import type { Digest, Key, Manifest } from '../../../src/runner/store/model.ts';
import type { AttemptStart } from '../../../src/runner/store/results.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import type { Store } from '../../../src/runner/store/store.ts';
import { temporaryFolder } from './temp-folder.ts';

function opened(): { readonly store: Store; readonly run: number; begin(more?: Partial<AttemptStart>): number } {
  const store = openStore({ cache: temporaryFolder(), mode: 'write' });
  onTestFinished(() => store.close());
  const run = store.results.beginRun({
    pipeline: 'p', file: '/f', root: '/r', profile: 'lab', overrides: ['a=1'], params: { a: 1 }, command: ['pipe', 'run'], host: 'h', pid: 1, version: '1', startedAt: 1000,
  });
  return {
    store, run,
    begin: more => store.results.beginAttempt({
      run, pipeline: 'p', stage: 'train', cell: 'train[size=1]', point: { size: 1 }, params: { size: 1, optimizer: { rate: 0.1, kind: 'adam' }, list: [1, 2], none: {} },
      planKey: 'plan' as Key, actionKey: 'action' as Key, manifest: [], host: 'h', startedAt: 2000, log: '/log', platform: { os: 'linux' }, ...more,
    }),
  };
}

const ran = { status: 'ran', endedAt: 5000, cpuSeconds: 1.5, peakMemoryBytes: 7, gpu: null, exitCode: 0, signal: null, cause: null, message: null } as const;
const artefact = (digest: string) => ({ digest: digest as Digest, name: 'x', type: 'file' as const, size: 1, files: 1 });

test('metrics keep NaN and infinities, by step and in order', () => {
  const { store, begin } = opened();
  const attempt = begin();
  store.results.recordMetrics(attempt, [
    { name: 'loss', value: 3, step: 0 }, { name: 'loss', value: NaN, step: 10 }, { name: 'top', value: Infinity }, { name: 'low', value: -Infinity },
    { name: 'loss', value: 2, step: 5 },
  ]);
  expect(metricsOf(store.database, attempt)).toEqual([
    { name: 'loss', step: 0, value: 3 }, { name: 'loss', step: 5, value: 2 }, { name: 'loss', step: 10, value: NaN },
    { name: 'low', step: null, value: -Infinity }, { name: 'top', step: null, value: Infinity },
  ]);
  expect(lastMetricsOf(store.database, attempt)).toEqual({ loss: NaN, low: -Infinity, top: Infinity });
});

test('a manifest is stored once by value and comes back as it was', () => {
  const { store, begin } = opened();
  const manifest: Manifest = [{ part: 'code', value: { 'a.ts': '1' } }, { part: 'with.log', value: null, ignored: true }, { part: 'with.size', value: 1 }];
  const [one, two] = [begin({ manifest }), begin({ manifest })];
  expect(store.results.manifestOf(one)).toEqual(manifest);
  expect(store.results.manifestOf(two)).toEqual(manifest);
  expect(store.database.prepare('SELECT count(*) FROM manifest_value').pluck().get()).toBe(3);
  expect(store.database.prepare('SELECT part, value, ignored FROM manifest WHERE attempt = ? ORDER BY part').all(one)).toEqual([
    { part: 'code', value: '{"a.ts":"1"}', ignored: 0 }, { part: 'with.log', value: 'null', ignored: 1 }, { part: 'with.size', value: '1', ignored: 0 },
  ]);
});

test('params are flat by name; notes and platform facts add up', () => {
  const { store, begin } = opened();
  const attempt = begin();
  expect(paramsOf(store.database, attempt)).toEqual({ size: 1, 'optimizer.rate': 0.1, 'optimizer.kind': 'adam', list: [1, 2], none: {} });
  store.results.recordNote(attempt, 'one "quoted"');
  store.results.recordNote(attempt, 'two');
  expect(notesOf(store.database, attempt)).toEqual(['one "quoted"', 'two']);
  store.results.recordPlatform(attempt, { backend: 'wasm', threads: 2 });
  expect(store.results.attempt(attempt)?.platform).toEqual({ os: 'linux', backend: 'wasm', threads: 2 });
});

test('finishing writes outcome, records and the present result in one go, and nothing of a failure', () => {
  const { store, begin } = opened();
  const attempt = begin();
  store.results.finishAttempt(attempt, ran, { action: 'action' as Key, plan: 'plan' as Key }, { out: artefact('d1') });
  expect(store.results.lookup('action' as Key)).toEqual({ key: 'action', kind: 'action', attempt, outputs: { out: artefact('d1') }, accepted: null });
  expect(store.results.lookup('plan' as Key)?.kind).toBe('plan');
  expect(store.results.attempt(attempt)).toMatchObject({ status: 'ran', endedAt: 5000, cpuSeconds: 1.5, peakMemoryBytes: 7 });
  const failed = begin({ actionKey: 'other' as Key });
  store.results.finishAttempt(failed, { ...ran, status: 'failed', cause: 'oom', exitCode: 137, message: 'killed' }, null, null);
  expect(store.results.lookup('other' as Key)).toBeNull();
  expect(store.results.attempt(failed)).toMatchObject({ status: 'failed', cause: 'oom', message: 'killed' });
  expect(store.database.prepare('SELECT attempt FROM current').pluck().all()).toEqual([attempt]);
});

test('a finish that fails in the middle leaves nothing of it', () => {
  const { store, begin } = opened();
  const attempt = begin();
  store.database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON record WHEN new.kind = 'plan' BEGIN SELECT raise(ABORT, 'refused'); END`);
  expect(() => store.results.finishAttempt(attempt, ran, { action: 'action' as Key, plan: 'plan' as Key }, { out: artefact('d1') })).toThrow('refused');
  expect(store.results.attempt(attempt)?.status).toBe('running');
  expect(store.results.lookup('action' as Key)).toBeNull();
});

test('two results under one plan key: it stands for neither', () => {
  const { store, begin } = opened();
  store.results.finishAttempt(begin(), ran, { action: 'a1' as Key, plan: 'plan' as Key }, { out: artefact('d1') });
  store.results.finishAttempt(begin(), ran, { action: 'a1' as Key, plan: 'plan' as Key }, { out: artefact('d1') });
  expect(store.results.lookup('plan' as Key)).not.toBeNull();
  store.results.finishAttempt(begin(), ran, { action: 'a1' as Key, plan: 'plan' as Key }, { out: artefact('d2') });
  expect(store.results.lookup('plan' as Key)).toBeNull();
  expect(store.results.lookup('a1' as Key)?.outputs['out']?.digest).toBe('d2');
});

test('the views show params and last metrics of present results, curves by step, and runs', () => {
  const { store, run, begin } = opened();
  const first = begin();
  store.results.recordMetrics(first, [{ name: 'loss', value: 3, step: 1 }, { name: 'loss', value: NaN, step: 2 }, { name: 'acc', value: 0.5 }]);
  store.results.finishAttempt(first, ran, { action: 'action' as Key }, { out: artefact('d1') });
  const [row] = store.database.prepare('SELECT * FROM results').all() as { params: string; metrics: string; seconds: number; cell: string }[];
  expect(row).toMatchObject({ cell: 'train[size=1]', seconds: 3 });
  expect(JSON.parse(row!.params)).toMatchObject({ size: 1, 'optimizer.kind': 'adam' });
  expect(JSON.parse(row!.metrics)).toEqual({ acc: 0.5, loss: 'nan' });
  expect(store.database.prepare('SELECT name, step, value, kind FROM curves').all()).toEqual([
    { name: 'loss', step: 1, value: 3, kind: 'finite' }, { name: 'loss', step: 2, value: null, kind: 'nan' },
  ]);
  store.results.finishRun(run, { endedAt: 4000, exitCode: 0, summary: { ran: 1, fresh: 2, failed: 0 } });
  expect(store.database.prepare('SELECT seconds, exit_code, ran, fresh FROM runs').get()).toEqual({ seconds: 3, exit_code: 0, ran: 1, fresh: 2 });
  expect(listRuns(store.database)[0]).toMatchObject({ profile: 'lab', overrides: ['a=1'], summary: { ran: 1 } });
});

test('the present result of a cell is written only where it differs, and cells that are gone are dropped', () => {
  const { store, begin } = opened();
  const [one, two] = [begin(), begin({ cell: 'b', point: {} })];
  const cells: Parameters<Store['results']['setCurrent']>[1][number][] = [{ cell: 'train[size=1]', stage: 'train', point: { size: 1 }, attempt: one }, { cell: 'b', stage: 'b', point: {}, attempt: two }];
  store.results.setCurrent('p', cells, true);
  const changes = (): number => Number(store.database.prepare('SELECT total_changes()').pluck().get());
  const before = changes();
  store.results.setCurrent('p', cells, true);
  expect(changes()).toBe(before);
  store.results.setCurrent('p', [{ ...cells[0]!, attempt: two }], false);
  expect(store.database.prepare('SELECT cell, attempt FROM current ORDER BY cell').all()).toEqual([{ cell: 'b', attempt: two }, { cell: 'train[size=1]', attempt: two }]);
  store.results.setCurrent('p', [cells[0]!], true);
  expect(store.database.prepare('SELECT cell, attempt FROM current').all()).toEqual([{ cell: 'train[size=1]', attempt: one }]);
});

test('durations: the median of a cell, and of its stage', () => {
  const { store, begin } = opened();
  const finish = (attempt: number, ms: number): void => store.results.finishAttempt(attempt, { ...ran, endedAt: 2000 + ms }, null, null);
  expect(store.results.durations.ofCell('p', 'train[size=1]')).toBeNull();
  for (const ms of [100, 900, 200]) finish(begin(), ms);
  finish(begin({ cell: 'train[size=2]' }), 5000);
  expect(store.results.durations.ofCell('p', 'train[size=1]')).toBe(200);
  expect(store.results.durations.ofStage('train')).toBe(550);
});
