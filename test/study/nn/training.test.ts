import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { batchBuilder, batchOrder } from '../../../src/study/nn/batches.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { trainStep } from '../../../src/study/nn/train-step.ts';
import { train, TrainingDivergedError } from '../../../src/study/nn/training.ts';
import { hasNative, openTestBackend, openTestBackends } from './backends.ts';
import { digestOf, recordingWatch, tinyConfig, tinyData, tinySettings } from './rig.ts';

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

/** Losses of the first steps on the tiny data. */
function firstLosses(backend: Backend, steps: number): number[] {
  const data = tinyData();
  const build = batchBuilder(tinyConfig, data.images, data.tokens, 16);
  const order = batchOrder(data.train, 16, 1);
  const state = initialWeights(parametersOf(tinyConfig), 1);
  const step = trainStep(backend, tinyConfig, 16, tinySettings.optimiser, state);
  const losses = Array.from({ length: steps }, (_, index) => step.update(build(order(index + 1)), index + 1, 3e-3).loss);
  step.dispose();
  return losses;
}

describe('training', () => {
  it('learns: the validation loss falls well below chance', async () => {
    for (const backend of backends) {
      const watch = recordingWatch();
      const { rows } = await train(backend, tinyConfig, tinyData(), { ...tinySettings, steps: 90, evaluateEvery: 30 }, watch);
      const validation = rows.filter(({ metric }) => metric === 'validation_loss').map(({ value }) => value);
      expect(validation).toHaveLength(3);
      expect(validation.at(-1), backend.name).toBeLessThan(0.6 * Math.log(32));
      expect(watch.metrics.some(({ name, value }) => name === 'pairs_per_second' && value > 0)).toBe(true);
      expect(rows.filter(({ metric }) => metric === 'learning_rate')).toHaveLength(90);
    }
  });

  it('gives the same bits for the same seed, and others for another', async () => {
    for (const backend of backends) {
      const run = async (seed: number): Promise<string> =>
        digestOf((await train(backend, tinyConfig, tinyData(), { ...tinySettings, steps: 12, seed }, recordingWatch())).weights);
      const first = await run(1);
      expect(await run(1)).toBe(first);
      expect(await run(2)).not.toBe(first);
    }
  });

  it('stops on the signal, and ends in the same weights when it goes on', async () => {
    for (const backend of backends) {
      const settings = { ...tinySettings, augment: { crop: 0.6, flip: true }, keep: 'best' as const };
      const whole = await train(backend, tinyConfig, tinyData(), settings, recordingWatch());
      const checkpoint = mkdtempSync(join(tmpdir(), 'checkpoint-'));
      const stop = new AbortController();
      const watch = recordingWatch({ signal: stop.signal, checkpoint });
      watch.onStep = (step) => (step === 17 ? stop.abort(new Error('enough')) : undefined);
      await expect(train(backend, tinyConfig, tinyData(), settings, watch)).rejects.toThrow('enough');
      const rest = recordingWatch({ checkpoint });
      const resumed = await train(backend, tinyConfig, tinyData(), settings, rest);
      expect(rest.resumedFrom).toEqual([17]);
      expect(digestOf(resumed.weights)).toBe(digestOf(whole.weights));
      expect(resumed.rows).toEqual(whole.rows);
      expect(resumed.keptStep).toBe(whole.keptStep);
    }
  });

  it('begins anew, and says so, when the checkpoint is of other settings or damaged', async () => {
    const checkpoint = mkdtempSync(join(tmpdir(), 'checkpoint-'));
    const short = { ...tinySettings, steps: 4, evaluateEvery: 0 };
    await train(backends[0]!, tinyConfig, tinyData(), short, recordingWatch({ checkpoint, checkpointEvery: 0 }));
    const other = recordingWatch({ checkpoint });
    await train(backends[0]!, tinyConfig, tinyData(), { ...short, seed: 2 }, other);
    expect(other.notes).toEqual(['the checkpoint is of other settings; beginning anew']);
    const path = join(checkpoint, 'checkpoint.safetensors');
    writeFileSync(path, readFileSync(path).subarray(0, 5000));
    const damaged = recordingWatch({ checkpoint });
    await train(backends[0]!, tinyConfig, tinyData(), short, damaged);
    expect(damaged.notes[0]).toMatch(/the checkpoint cannot be used .*; beginning anew/);
  });

  it('stops when the loss is no number, naming step and learning rate', async () => {
    for (const backend of backends) {
      const error: unknown = await train(
        backend,
        tinyConfig,
        tinyData(),
        { ...tinySettings, learningRate: 1e30, optimiser: { ...tinySettings.optimiser, clipNorm: null } },
        recordingWatch({ checkpoint: mkdtempSync(join(tmpdir(), 'checkpoint-')), checkpointEvery: 0 }),
      ).catch((caught: unknown) => caught);
      expect(error, backend.name).toBeInstanceOf(TrainingDivergedError);
      expect(String(error)).toMatch(/the loss is \S+ at step \d+, learning rate \S+/);
      expect(error).toHaveProperty('hint', expect.stringMatching(/^the last good checkpoint is of step \d+; try a smaller learningRate/));
    }
  });

  it('keeps the logit scale at or below 100, and decays matrices only', () => {
    for (const backend of backends) {
      const data = tinyData();
      const build = batchBuilder(tinyConfig, data.images, data.tokens, 16);
      const start = initialWeights(parametersOf(tinyConfig), 1);
      start.set('logit_scale', Float32Array.of(Math.log(100)));
      // With moments and gradients that hardly move anything, what is left of a step is its decay.
      const step = trainStep(backend, tinyConfig, 16, { ...tinySettings.optimiser, epsilon: 1e9, weightDecay: 0.5 }, start);
      step.update(build(Uint32Array.from({ length: 16 }, (_, row) => row)), 1, 0.1);
      const after = step.state();
      const ratio = (name: string): number => after.get(name)![3]! / start.get(name)![3]!;
      expect(ratio('image.block0.mlp.in.weight')).toBeCloseTo(0.95, 5);
      expect(ratio('text.embedding')).toBeCloseTo(1, 5);
      expect(ratio('image.block0.attention.norm.gain')).toBeCloseTo(1, 5);
      expect(after.get('logit_scale')![0]).toBeLessThanOrEqual(Math.fround(Math.log(100)));
      step.dispose();
    }
  });

  it.skipIf(!hasNative)('gives the same losses on native TensorFlow and wasm within 1e-3 over 20 steps (needs native TensorFlow)', () => {
    const [wasm, native] = backends.map((backend) => firstLosses(backend, 20));
    native!.forEach((loss, index) => expect(Math.abs(loss - wasm![index]!)).toBeLessThan(1e-3));
    expect(native![19]).toBeLessThan(native![0]!);
  });

  it('gives the same losses on cpu and wasm', async () => {
    const wasm = firstLosses(backends[0]!, 3);
    const cpu = firstLosses(await openTestBackend('cpu'), 3);
    cpu.forEach((loss, index) => expect(Math.abs(loss - wasm[index]!)).toBeLessThan(1e-4));
    await openTestBackend('wasm');
  });
});
