import { existsSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/runner/store/store.ts';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';
import { troubles } from './rig/life.ts';
import { processesOf } from './rig/processes.ts';
import { tell } from './rig/tally.ts';

const steps = 60;

/** The study's own training, on a few phantoms. */
const pipeline = `pipeline: p
stages:
  phantom:
    uses: draw-phantom
    with: { count: 400, resolution: 32 }
  preprocess:
    uses: preprocess
    in: { pairs: phantom.pairs }
    with: { resolution: 32 }
  tokenize:
    uses: tokenize
    in: { captions: preprocess.captions }
    with: { context: 16, vocabulary: 256 }
  train:
    uses: train
    in: { images: preprocess.images, tokens: tokenize.tokens }
    with: { size: d32l2, pairs: ${32 * steps}, batch: 32, patch: 16, keep: best, validationPool: 16, checkpointEvery: 0.05 }
    checkpoint: true
`;

const args = ['run', '--backend', 'wasm'];

function study(): TestProject {
  const project = makeProject({ 'pipe.yaml': pipeline });
  symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), project.path('node_modules'));
  return project;
}

interface Trained {
  /** Each file of the model, as it is. */
  readonly model: Readonly<Record<string, string>>;
  /** Metrics by step that do not tell of time. */
  readonly metrics: readonly string[];
}

function trained(project: TestProject): Trained {
  const folder = project.path('cache/out/p/train/model');
  return {
    model: Object.fromEntries(readdirSync(folder).sort().map(name => [name, readFileSync(join(folder, name)).toString('base64')])),
    metrics: project.read('cache/out/p/train/metrics').split('\n').filter(line => !/pairs_per_second|wait_share/.test(line)),
  };
}

let unbroken: Trained;

beforeAll(() => {
  const project = study();
  const { code, stderr } = project.pipe(args);
  expect(code, stderr).toBe(0);
  unbroken = trained(project);
  project.remove();
});

function checkpointOf(project: TestProject): string | null {
  const folder = project.path('cache/checkpoints');
  if (!existsSync(folder)) return null;
  return readdirSync(folder).map(name => join(folder, name, 'checkpoint.safetensors')).find(path => existsSync(path)) ?? null;
}

/** Starts a run and resolves when it has written so many checkpoints that were not there before. */
async function runUntil(project: TestProject, count: number): Promise<ReturnType<TestProject['start']>> {
  const run = project.start(args);
  let last = checkpointOf(project) === null ? 0 : statSync(checkpointOf(project)!).ino;
  for (let seen = 0; seen < count && run.exitCode === null; ) {
    const path = checkpointOf(project);
    const ino = path === null ? 0 : statSync(path, { throwIfNoEntry: false })?.ino ?? last;
    if (ino !== last && ino !== 0) seen++;
    last = ino;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  return run;
}

const attempts = (project: TestProject): { status: string; step: number | null }[] => {
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  try {
    return store.database.prepare<[], { status: string; step: number | null }>(`SELECT status, resumed_from_step AS step FROM attempt WHERE stage = 'train' ORDER BY id`).all();
  } finally {
    store.close();
  }
};

test('training that is killed again and again, in four ways, goes on each time and ends in the same weights', async () => {
  const project = study();
  onTestFinished(() => project.remove());
  const worker = (): number => Number.parseInt(processesOf(project.path('cache/work')).find(line => line.includes('stage-worker'))!, 10);
  const ways: readonly [string, (run: ReturnType<TestProject['start']>) => void][] = [
    ['pipe and the stage', run => { const pid = worker(); run.kill('SIGKILL'); process.kill(pid, 'SIGKILL'); }],
    ['pipe alone', run => void run.kill('SIGKILL')],
    ['the stage alone', () => void process.kill(worker(), 'SIGKILL')],
    ['asked to stop', run => void run.kill('SIGTERM')],
  ];
  for (const [how, end] of ways) {
    const run = await runUntil(project, 3);
    end(run);
    const { code, stderr } = await run.finished;
    expect(code, `${how}\n${stderr}`).not.toBe(0);
  }
  const { code, stderr } = project.pipe(args);
  expect(code, stderr).toBe(0);
  expect(trained(project)).toEqual(unbroken);
  const told = attempts(project);
  expect(told.map(({ status }) => status)).toEqual(['lost', 'lost', 'failed', 'interrupted', 'ran']);
  const from = told.map(({ step }) => step);
  expect(from[0]).toBe(null);
  // Each went on further than the one before.
  for (let i = 2; i < from.length; i++) expect(from[i]!).toBeGreaterThan(from[i - 1]!);
  expect(stderr).toContain(`resumed from step ${from.at(-1)}`);
  expect(project.pipe(['show', 'train']).stdout).toMatch(new RegExp(`resumed\\s+from step ${from.at(-1)}`));
  expect(troubles(project)).toEqual([]);
  tell('kill -9 of training (with `pipe`, without, `pipe` alone) and SIGTERM, one after the other', 'resumed from a later step, recorded; the weights of an unbroken run, bit for bit', ways.length);
});

test('a checkpoint that is cut short: training begins anew and ends in the same weights', async () => {
  const project = study();
  onTestFinished(() => project.remove());
  const run = await runUntil(project, 1);
  run.kill('SIGKILL');
  await run.finished;
  while (processesOf(project.folder).length > 0) await new Promise(resolve => setTimeout(resolve, 20));
  truncateSync(checkpointOf(project)!, 1000);
  const { code, stderr } = project.pipe(args);
  expect(code, stderr).toBe(0);
  expect(trained(project)).toEqual(unbroken);
  expect(attempts(project).map(({ step }) => step)).toEqual([null, null]);
  expect(project.pipe(['show', 'train', '--json']).stdout).toContain('checkpoint cannot be used');
  tell('a checkpoint cut short', 'training began anew; the weights of an unbroken run, bit for bit');
});
