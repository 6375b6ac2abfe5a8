import { chmodSync, readlinkSync, truncateSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { faultPoints } from '../../src/runner/fault-point.ts';
import type { FaultPoint } from '../../src/runner/fault-point.ts';
import type { TestProject } from '../rig/pipe.ts';
import { blobTroubles, CleanBuild, makeLife, troubles, visible } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const clean = new CleanBuild();
const recovered = 'the next run finished, all outputs as after a clean build, no half thing left';

/** Steps that a run comes to only where an artefact is damaged. */
const repairs = new Set<FaultPoint>(['artefact-damaged', 'artefact-aside']);
/** Steps that a run of the pipeline comes to once. */
const once = new Set<FaultPoint>(['run-begun', 'recovered', 'run-ending', 'run-ended', 'copy-made', 'copy-aside', 'copy-swapped', 'artefact-dropping', 'artefact-dropped']);

test.each(faultPoints.filter(point => !repairs.has(point)))('kill -9 of pipe at the step %s: the next run finishes as if nothing had been', point => {
  const first = makeLife('first');
  expectKilled(first, point);
  expect(blobTroubles(first)).toEqual([]);
  expectRecovered(first, 'first');

  // Once more in the middle of a life: what it has made of an earlier word is good, and stays until there is something better.
  expect(first.read('cache/out/p/join/all')).toContain('first');
  first.write('word.txt', 'second\n');
  expectKilled(first, once.has(point) ? point : `${point}:2`);
  expect(blobTroubles(first)).toEqual([]);
  const [old, fresh, seen] = [clean.of('first'), clean.of('second'), visible(first)];
  for (const [path, text] of Object.entries(seen)) expect([old[path], fresh[path]], path).toContain(text);
  // Only a folder of the project, which people may have changed, is away between two renames.
  if (point !== 'copy-aside') expect(Object.keys(seen).sort()).toEqual(Object.keys(old).sort());
  expectRecovered(first, 'second');
  first.remove();
  tell(`kill -9 of pipe at each of ${faultPoints.length - repairs.size} steps (first run; after a change)`, recovered, 2);
});

test.each([...repairs])('kill -9 of pipe at the step %s of a repair: the next run finishes it', point => {
  const project = makeLife('word');
  expect(project.pipe(['run']).code).toBe(0);
  const link = project.path('cache/out/p/count/o');
  const artefact = resolve(link, '..', readlinkSync(link));
  chmodSync(artefact, 0o644);
  truncateSync(artefact, 3);
  expectKilled(project, point);
  expectRecovered(project, 'word');
  project.remove();
  tell('kill -9 of pipe at each step of a repair', recovered);
});

function expectKilled(project: TestProject, point: string): void {
  const { code, stderr } = project.pipe(['run', '-j', '2'], { PIPE_FAULT_POINT: point });
  expect(code, `it never came to ${point}\n${stderr}`).toBe(null);
}

function expectRecovered(project: TestProject, word: string): void {
  const next = project.pipe(['run', '-j', '2']);
  expect(next.code, next.stderr).toBe(0);
  expect(visible(project)).toEqual(clean.of(word));
  expect(troubles(project)).toEqual([]);
  const idle = project.pipe(['run']);
  expect([idle.code, idle.stderr]).toEqual([0, expect.stringMatching(/^✓ nothing to run: 7 cells fresh/)]);
}
