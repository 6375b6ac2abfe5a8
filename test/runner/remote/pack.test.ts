/** Which cells come into one task of Slurm. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noteDuration, packJobs } from '../../../src/runner/remote/agent/pack.ts';
import type { HostJob } from '../../../src/runner/remote/protocol.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pipe-pack-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const jobs = (count: number, pack: number | 'auto', stage = 'train'): HostJob[] =>
  Array.from({ length: count }, (_, i) => ({ name: `${stage}-${i}`, owner: 'me', cell: { id: `${stage}[i=${i}]` }, slurm: { pack } }) as unknown as HostJob);
const sizes = (list: readonly HostJob[]): number[] => packJobs(folder, list).map(({ length }) => length);

test('as even as can be, each job once, in their order', () => {
  expect(sizes(jobs(10, 1))).toEqual(Array.from({ length: 10 }, () => 1));
  expect(sizes(jobs(10, 4)).toSorted()).toEqual([3, 3, 4]);
  expect(sizes(jobs(3, 100))).toEqual([3]);
  const list = jobs(23, 5);
  expect(packJobs(folder, list).flat()).toEqual(list);
});

test('cells of two stages do not come into one task', () => {
  expect(sizes([...jobs(2, 10), ...jobs(3, 10, 'other')])).toEqual([2, 3]);
});

test('auto: alone while nothing is known, then some seconds of what was measured, and one quick cell does not make all seem quick', () => {
  expect(sizes(jobs(3, 'auto'))).toEqual([1, 1, 1]);
  noteDuration(folder, jobs(1, 'auto')[0]!, 5000);
  expect(sizes(jobs(6, 'auto'))).toEqual([3, 3]);
  noteDuration(folder, jobs(1, 'auto')[0]!, 10);
  expect(sizes(jobs(9, 'auto'))).toEqual([3, 3, 3]);
  noteDuration(folder, jobs(1, 'auto')[0]!, 3_600_000);
  expect(sizes(jobs(2, 'auto'))).toEqual([1, 1]);
  expect(sizes(jobs(2, 'auto', 'other'))).toEqual([1, 1]);
});
