/** A training stage that is ended in the middle, or loses its run, goes on from its checkpoint and ends in the same weights. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';

const pipeline = `pipeline: killed
stages:
  phantom: { uses: draw-phantom, with: { count: 400, captions: short, resolution: 32, validation: 0.1, test: 0.1 } }
  preprocess: { uses: preprocess, in: { pairs: phantom.pairs }, with: { resolution: 32, splitBy: source } }
  tokenize: { uses: tokenize, in: { captions: preprocess.captions }, with: { context: 16, vocabulary: 300, reducible: false } }
  train:
    uses: train
    in: { images: preprocess.images, tokens: tokenize.tokens }
    with: { size: d16l1, pairs: 3000, batch: 32, patch: 16, keep: best, augment: { crop: 0.6, flip: true }, checkpointEvery: 0.2 }
    checkpoint: true
`;
const env = { PIPE_BACKEND: 'wasm' };

interface Shown {
  readonly status: string;
  readonly resumedFromStep: number | null;
  readonly outputs: { readonly model: { readonly digest: string }; readonly metrics: { readonly digest: string } };
}

let project: TestProject;
let unbroken: Shown;
beforeAll(() => {
  project = makeProject({ 'pipe.yaml': pipeline });
  const { code, stderr } = project.pipe(['run', '--cache', 'unbroken'], env);
  expect(code, stderr).toBe(0);
  unbroken = shown('unbroken');
});
afterAll(() => project.remove());

const shown = (cache: string): Shown => JSON.parse(project.pipe(['show', 'train', '--json', '--cache', cache], env).stdout) as Shown;

/** Runs until training has saved something and gone on, calls back, and waits for the run's end. */
async function killIn(cache: string, kill: (run: number) => void): Promise<void> {
  const running = project.start(['run', '--json', '--cache', cache], env);
  let killed = false;
  let lines = '';
  running.stdout!.on('data', (text: string) => {
    lines += text;
    const folder = project.path(cache, 'checkpoints');
    const saved = existsSync(folder) && readdirSync(folder).some(key => existsSync(join(folder, key, 'checkpoint.safetensors')));
    if (killed || !saved || !lines.includes('"event":"cell.progress","cell":"train"')) return;
    killed = true;
    kill(running.pid!);
  });
  await running.finished;
  expect(killed, lines.slice(-2000)).toBe(true);
}

/** The processes of the training stage. */
function trainingProcesses(): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      const entries = readFileSync(join('/proc', pid, 'environ'), 'utf8').split('\0');
      return entries.includes('PIPE_CELL=train') && entries.includes(`PIPE_PROJECT=${project.folder}`);
    } catch {
      return false;
    }
  }).map(Number);
}

test.each([
  ['the stage is', (): void => trainingProcesses().forEach(pid => process.kill(pid, 'SIGKILL'))],
  ['the run is', (run: number): void => void process.kill(run, 'SIGKILL')],
  ['both are', (run: number): void => [...trainingProcesses(), run].forEach(pid => process.kill(pid, 'SIGKILL'))],
])('%s killed by SIGKILL', async (name, kill) => {
  const cache = `cache-${name.split(' ')[1]}`;
  await killIn(cache, kill);
  const { code, stderr } = project.pipe(['run', '--cache', cache], env);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/↪ train resumed from step [\d,]+\n/);
  const again = shown(cache);
  expect(again.status).toBe('ran');
  expect(again.resumedFromStep).toBeGreaterThan(0);
  expect(again.outputs).toEqual(unbroken.outputs);
  expect(trainingProcesses()).toEqual([]);
});
