/** `learning-rates.yaml` at a tiny size, twice from nothing: the same rates are stopped at the same rungs. */
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { makeProject } from '../rig/pipe.ts';

const pipeline = fileURLToPath(new URL('../../pipelines/learning-rates.yaml', import.meta.url));
const small = ['phantom.count=800', 'rates={ log: [1e-4, 1e-2], count: 4 }', 'rungs=[512, 1024]', 'size=d16l1'].flatMap(setting => ['--set', setting]);

test('the same seeds take the same decisions', () => {
  const project = makeProject({});
  onTestFinished(() => project.remove());
  const decided = (cache: string): string => {
    const own = ['-f', pipeline, ...small, '--cache', project.path(cache)];
    const { code, stderr, stdout } = project.pipe(['run', ...own, '--backend', 'wasm']);
    expect(code, stderr + stdout).toBe(0);
    project.pipe(['get', ...own, 'answer.decisions', project.path(`${cache}.json`)]);
    return project.read(`${cache}.json`);
  };
  const first = decided('first');
  const { decisions } = JSON.parse(first) as { decisions: { rung: number; wentOn: boolean | null; score: number }[] };
  expect(decisions.map(({ rung, wentOn }) => [rung, wentOn])).toEqual([[512, true], [512, true], [512, false], [512, false], [1024, null], [1024, null]]);
  expect(new Set(decisions.map(({ score }) => score)).size).toBe(6);
  expect(decided('second')).toBe(first);
});
