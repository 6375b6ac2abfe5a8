/** Stats looked at by several threads: the same answers as by one, whatever becomes of the helpers. */
import { once } from 'node:events';
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { checkFolders, finish, makeJob, outcome, work } from '../../../src/runner/store/stat-tasks.ts';
import type { FolderToCheck, RowOf } from '../../../src/runner/store/stat-tasks.ts';
import { StatRowBuilder } from '../../../src/runner/store/stat-row.ts';
import { buildProgram } from '../../rig/build.ts';
import { temporaryFolder } from './temp-folder.ts';

const later = (BigInt(Date.now()) + 60_000n) * 1_000_000n;
const bigint = { bigint: true } as const;

/** Two folders, one of several tasks, one with a name that is not UTF-8, as they were a minute ago. */
function known(): FolderToCheck[] {
  const base = temporaryFolder();
  return [1300, 3].map((count, index) => {
    const path = join(base, String(index));
    mkdirSync(path);
    const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(5, '0')}`);
    if (index === 1) names.push('z\xff');
    const builder = new StatRowBuilder(count);
    for (const name of names) {
      const file = Buffer.from(`${path}/${name}`, 'latin1');
      writeFileSync(file, name);
      builder.add(name, lstatSync(file, bigint), later, Buffer.alloc(32));
    }
    const { mtimeNs, ctimeNs, ino } = lstatSync(path, bigint);
    const packed = builder.finish().pack();
    return { path, times: { mtime: Number(mtimeNs), ctime: Number(ctimeNs), inode: Number(ino), checkedAt: Number(later) }, files: names.length, stat: null, packed: () => packed, row: () => builder.finish() };
  });
}

const rowsOf = (folders: readonly FolderToCheck[]): RowOf => folder => folders[folder]!.row();

test('a helper alone does a whole job, and finds what was touched', async () => {
  const folders = known();
  const program = await buildProgram('src/runner/store/stat-helper.ts');
  for (const expected of [[true, true], [false, true], [false, false]]) {
    const job = makeJob(folders);
    const helper = new Worker(program);
    helper.postMessage(job);
    await once(helper, 'exit');
    expect(job.states[0]).toBeGreaterThan(4);
    expect(outcome(job)).toEqual(expected);
    if (expected[0]) writeFileSync(join(folders[0]!.path, 'f01299'), 'touched');
    else rmSync(join(folders[1]!.path, 'f00000'), { force: true });
  }
});

test('what a helper took and did not do is done here', () => {
  const folders = known();
  const job = makeJob(folders);
  const tasks = job.states.length - 1;
  expect(tasks).toBe(4);
  Atomics.add(job.states, 0, 2); // two tasks taken by one that died
  work(job, rowsOf(folders));
  expect(outcome(job)).toEqual([false, true]);
  finish(job, rowsOf(folders), 1);
  expect(outcome(job)).toEqual([true, true]);
});

test.each([
  ['that is not there', null],
  ['that throws', 'throw new Error("broken")'],
  ['that ends at once', 'process.exit(3)'],
])('a helper %s is no trouble', (_what, text) => {
  const folders = known();
  const program = join(temporaryFolder(), 'helper.mjs');
  if (text !== null) writeFileSync(program, text);
  expect(checkFolders(folders, { program, filesEach: 100 })).toEqual([true, true]);
  rmSync(join(folders[0]!.path, 'f00700'));
  expect(checkFolders(folders, { program, filesEach: 100 })).toEqual([false, true]);
});
