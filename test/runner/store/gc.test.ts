import { chmodSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cacheSizes } from '../../../src/runner/store/cache-size.ts';
import { collectGarbage, planGc } from '../../../src/runner/store/gc.ts';
import type { GcOptions } from '../../../src/runner/store/gc.ts';
import { listPins, pinAttempt, unpinAttempt } from '../../../src/runner/store/pins.ts';
import { verifyCache } from '../../../src/runner/store/verify-cache.ts';
import type { Artefact, Key, Manifest } from '../../../src/runner/store/model.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import type { Store } from '../../../src/runner/store/store.ts';
import { temporaryFolder } from './temp-folder.ts';

const hour = 3_600_000;
const start = Date.now();

interface Rig {
  readonly cache: string;
  readonly store: Store;
  /** A cell that ran `at` hours after the start, with one output of so many bytes. */
  add(cell: string, at: number, content: string, manifest?: Manifest): Promise<{ readonly attempt: number; readonly artefact: Artefact }>;
  run(pipeline: string, at: number): number;
}

function rig(): Rig {
  const cache = temporaryFolder();
  const store = openStore({ cache, mode: 'write' });
  onTestFinished(() => store.close());
  const run = (pipeline: string, at: number): number => store.results.beginRun({
    pipeline, file: '', root: '', profile: null, overrides: [], params: {}, command: [], host: '', pid: 1, version: '', startedAt: start + at * hour,
  });
  return {
    cache, store, run,
    async add(cell, at, content, manifest = []) {
      const attempt = store.results.beginAttempt({
        run: run('p', at), pipeline: 'p', stage: cell, cell, point: {}, params: {}, planKey: `plan-${cell}-${at}` as Key, actionKey: `action-${cell}-${at}` as Key,
        manifest, host: '', startedAt: start + at * hour, log: '', platform: {},
      });
      const path = join(cache, 'work', String(attempt));
      writeFileSync(path, content);
      const artefact = await store.artefacts.add(path, 'out');
      store.results.finishAttempt(
        attempt,
        { status: 'ran', endedAt: start + at * hour, cpuSeconds: null, peakMemoryBytes: null, gpu: null, exitCode: 0, signal: null, cause: null, message: null },
        { action: `action-${cell}-${at}` as Key, plan: `plan-${cell}-${at}` as Key }, { out: artefact },
      );
      return { attempt, artefact };
    },
  };
}

const options = (more: Partial<GcOptions>): GcOptions => ({ maxBytes: null, unusedForMs: null, now: start + 100 * hour, ...more });

test('without a cap or an age nothing that a record names goes', async () => {
  const { store, add } = rig();
  await add('a', 1, 'old');
  await add('a', 2, 'new');
  const plan = planGc(store, options({}));
  expect(plan).toMatchObject({ remove: [], orphans: [], leftovers: [] });
  expect(plan.keep.map(({ because }) => because)).toEqual(['used', 'used']);
});

test('a size cap removes the least recently used, record and artefact together', async () => {
  const { store, add } = rig();
  const oldest = await add('a', 1, 'x'.repeat(100));
  const middle = await add('b', 2, 'y'.repeat(100));
  const newest = await add('a', 3, 'z'.repeat(100));
  store.database.exec('DELETE FROM current');
  const plan = planGc(store, options({ maxBytes: 150 }));
  expect(plan.remove.map(({ attempt, why, bytes }) => [attempt, why, bytes])).toEqual([[oldest.attempt, 'size', 100], [middle.attempt, 'size', 100]]);
  expect(plan).toMatchObject({ bytesBefore: 300, bytesAfter: 100 });
  // Dry so far.
  expect(store.artefacts.present(oldest.artefact)).toBe('here');
  expect(collectGarbage(store, plan)).toBe(200);
  expect(store.artefacts.present(oldest.artefact)).toBe('gone');
  expect(store.results.lookup('action-a-1' as Key)).toBeNull();
  expect(store.results.lookup('plan-a-1' as Key)).toBeNull();
  expect(store.artefacts.present(newest.artefact)).toBe('here');
  expect(store.results.lookup('action-a-3' as Key)).not.toBeNull();
  expect(store.results.attempt(oldest.attempt)).not.toBeNull();
});

test('a run that found it fresh is a use', async () => {
  const { store, add, run } = rig();
  const used = await add('a', 1, 'x'.repeat(100));
  const other = await add('b', 2, 'y'.repeat(100));
  store.database.exec(`DELETE FROM current WHERE cell = 'b'`);
  run('p', 50);
  const plan = planGc(store, options({ unusedForMs: 60 * hour }));
  expect(plan.remove.map(({ attempt, why }) => [attempt, why])).toEqual([[other.attempt, 'age']]);
  expect(plan.keep[0]).toMatchObject({ attempt: used.attempt, lastUsed: start + 50 * hour });
});

test('content that another result has, too, stays', async () => {
  const { store, add } = rig();
  const one = await add('a', 1, 'the same');
  const two = await add('b', 90, 'the same');
  const plan = planGc(store, options({ unusedForMs: 50 * hour }));
  // Both cells are of a pipeline that ran at 90.
  expect(plan.remove).toEqual([]);
  store.database.exec(`DELETE FROM current WHERE cell = 'a'`);
  const aged = planGc(store, options({ unusedForMs: 50 * hour }));
  expect(aged.remove.map(({ attempt, bytes }) => [attempt, bytes])).toEqual([[one.attempt, 0]]);
  expect(collectGarbage(store, aged)).toBe(0);
  expect(store.artefacts.present(two.artefact)).toBe('here');
});

test('what is pinned, or read by a running stage or one with a checkpoint, stays, also when that began after the plan', async () => {
  const { store, add, run } = rig();
  const all = [await add('a', 1, '1'), await add('b', 2, '2'), await add('c', 3, '3'), await add('d', 4, '4')];
  store.database.exec('DELETE FROM current');
  const reads = (artefact: Artefact, actionKey: string): number => store.results.beginAttempt({
    run: run('p', 5), pipeline: 'p', stage: 's', cell: 's', point: {}, params: {}, planKey: 'k' as Key, actionKey: actionKey as Key,
    manifest: [{ part: 'in.x', value: [{ point: {}, from: { digest: artefact.digest } }] }], host: '', startedAt: start, log: '', platform: {},
  });
  const before = planGc(store, options({ maxBytes: 0 }));
  expect(before.remove).toHaveLength(4);
  pinAttempt(store, all[0]!.attempt, 'for the paper', start);
  reads(all[1]!.artefact, 'running-key');
  store.database.prepare(`UPDATE attempt SET status = 'failed' WHERE id = ?`).run(reads(all[2]!.artefact, 'checkpoint-key'));
  store.database.prepare('INSERT INTO checkpoint (key, cell, updated_at) VALUES (?, ?, ?)').run('checkpoint-key', 's', start);
  expect(planGc(store, options({ maxBytes: 0 })).keep.map(({ because }) => because)).toEqual(['pin', 'running', 'checkpoint']);
  collectGarbage(store, before);
  expect(all.map(({ artefact }) => store.artefacts.present(artefact))).toEqual(['here', 'here', 'here', 'gone']);
  expect(listPins(store)).toMatchObject([{ reason: 'for the paper', name: 'out' }]);
  unpinAttempt(store, all[0]!.attempt);
  expect(listPins(store)).toEqual([]);
});

test('what a crash left is found when it is old enough', async () => {
  const { cache, store, add } = rig();
  const { artefact, attempt } = await add('a', 1, 'x');
  store.database.prepare('DELETE FROM record WHERE attempt = ?').run(attempt);
  const incoming = join(cache, 'artefacts', '.incoming-1-x-0');
  mkdirSync(incoming);
  writeFileSync(join(incoming, 'half'), 'half');
  chmodSync(incoming, 0o555);
  utimesSync(incoming, 1, 1);
  expect(planGc(store, options({ now: Date.now() }))).toMatchObject({ orphans: [], leftovers: [] });
  const plan = planGc(store, options({}));
  expect(plan.orphans).toEqual([{ digest: artefact.digest, bytes: 1 }]);
  expect(plan.leftovers.map(({ path }) => path)).toEqual([incoming]);
  collectGarbage(store, plan);
  expect(existsSync(incoming)).toBe(false);
  expect(store.artefacts.present(artefact)).toBe('gone');
});

test('verify reads everything again, puts damage aside and names the cells', async () => {
  const { store, add } = rig();
  const good = await add('a', 1, 'good');
  const bad = await add('b', 2, 'evil');
  const gone = await add('c', 3, 'gone');
  const path = store.artefacts.pathOf(bad.artefact);
  chmodSync(path, 0o644);
  writeFileSync(path, 'EVIL');
  const place = join(store.artefacts.pathOf(gone.artefact), '..');
  chmodSync(place, 0o755);
  const { rmSync } = await import('node:fs');
  rmSync(place, { recursive: true });
  const result = verifyCache(store);
  expect(result).toMatchObject({
    checked: 1, bytes: 4,
    damaged: [{ artefact: { digest: bad.artefact.digest }, cells: ['b'] }],
    missing: [{ artefact: { digest: gone.artefact.digest }, cells: ['c'] }],
  });
  expect(existsSync(result.damaged[0]!.quarantined)).toBe(true);
  expect(store.artefacts.present(good.artefact)).toBe('here');
  expect(store.artefacts.present(bad.artefact)).toBe('gone');
});

test('sizes are told by what they are for', async () => {
  const { store, add } = rig();
  await add('a', 1, 'x'.repeat(1000));
  expect(cacheSizes(store)).toMatchObject({ artefacts: 1000, work: 0 });
  expect(cacheSizes(store)['database']).toBeGreaterThan(0);
});
