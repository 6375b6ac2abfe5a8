import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { batchBuilder } from '../../../src/study/nn/batches.ts';
import type { ImageSource } from '../../../src/study/nn/batches.ts';
import type { Tensor } from '../../../src/study/nn/kernels.ts';
import { contrastiveInBlocks } from '../../../src/study/nn/contrastive-blocks.ts';
import { contrastiveLoss, normalise } from '../../../src/study/nn/layers.ts';
import { defaultOptimiser } from '../../../src/study/nn/optimiser.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { Tape } from '../../../src/study/nn/tape.ts';
import { trainStep } from '../../../src/study/nn/train-step.ts';
import type { Batch } from '../../../src/study/nn/batch.ts';
import type { TrainStepOptions } from '../../../src/study/nn/train-step.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import { openTestBackends } from './backends.ts';
import { tinyConfig, tinyData } from './rig.ts';

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

/** Parts of one fixed batch of 24 pairs. */
function partsOf(size: number): (part: number) => Batch {
  const data = tinyData();
  // The images' noise depends on how many are read at once; colours alone make every cut of a batch the same.
  const still: ImageSource = {
    ...data.images,
    read: (rows, out) => out.forEach((_, index) => (out[index] = (rows[Math.floor(index / 768)]! * 37 + (index % 768) * 11) % 251)),
  };
  const build = batchBuilder(tinyConfig, still, data.tokens, size);
  return (part) => build(Uint32Array.from({ length: size }, (_, row) => part * size + row));
}

/** What one update makes of the first moments: with β₁ = 0 these are the gradients. */
function gradientsOf(backend: Backend, size: number, options: TrainStepOptions): { loss: number; norm: number; gradients: Map<string, Float32Array> } {
  const state = initialWeights(parametersOf(tinyConfig), 1);
  const step = trainStep(backend, tinyConfig, 24, { ...defaultOptimiser, beta1: 0 }, state, options);
  const { loss, gradientNorm } = step.update(partsOf(size), 1, 1e-3);
  const gradients = new Map([...step.state()].filter(([name]) => name.startsWith('first/')));
  step.dispose();
  return { loss, norm: gradientNorm, gradients };
}

const farthest = (a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): number =>
  Math.max(...[...a].map(([name, values]) => values.reduce((most, value, index) => Math.max(most, Math.abs(value - b.get(name)![index]!)), 0)));

describe('large batches in bounded memory', () => {
  it('gives the gradients of the plain loss to 1e-5, however the batch is cut', () => {
    for (const backend of backends) {
      const plain = gradientsOf(backend, 24, {});
      expect(Math.max(...[...plain.gradients.values()].map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)))).toBeGreaterThan(0.01);
      for (const chunk of [12, 8, 3]) {
        const chunked = gradientsOf(backend, chunk, { chunk });
        expect(chunked.loss, backend.name).toBeCloseTo(plain.loss, 5);
        expect(chunked.norm).toBeCloseTo(plain.norm, 4);
        expect(farthest(plain.gradients, chunked.gradients), `${backend.name} in chunks of ${chunk}`).toBeLessThan(1e-5);
      }
    }
  });

  it('gives the same gradients with checkpointed blocks and with a loss scale', () => {
    for (const backend of backends) {
      const plain = gradientsOf(backend, 24, {});
      expect(farthest(plain.gradients, gradientsOf(backend, 24, { checkpointBlocks: true }).gradients)).toBeLessThan(1e-6);
      const scaled = gradientsOf(backend, 24, { lossScale: 1024 });
      expect(farthest(plain.gradients, scaled.gradients)).toBeLessThan(1e-6);
      expect(scaled.norm).toBeCloseTo(plain.norm, 5);
      expect(farthest(plain.gradients, gradientsOf(backend, 8, { chunk: 8, lossScale: 1024, checkpointBlocks: true }).gradients)).toBeLessThan(1e-5);
    }
  });

  it('averages the gradients of accumulated parts, each contrasted within itself', () => {
    for (const backend of backends) {
      const state = initialWeights(parametersOf(tinyConfig), 1);
      const halves = [0, 1].map((part) => {
        const step = trainStep(backend, tinyConfig, 12, { ...defaultOptimiser, beta1: 0 }, state);
        const { loss } = step.update(partsOf(12)(part), 1, 1e-3);
        const moments = step.state();
        step.dispose();
        return { loss, moments };
      });
      const both = gradientsOf(backend, 12, { accumulate: 2 });
      expect(both.loss).toBeCloseTo((halves[0]!.loss + halves[1]!.loss) / 2, 5);
      const means = [...both.gradients.keys()].map((name): [string, Float32Array] => {
        const [one, other] = halves.map(({ moments }) => moments.get(name)!);
        return [name, one!.map((value, index) => (value + other![index]!) / 2)];
      });
      expect(farthest(both.gradients, new Map(means))).toBeLessThan(1e-5);
      const nested = gradientsOf(backend, 4, { accumulate: 2, chunk: 4 });
      expect(farthest(both.gradients, nested.gradients)).toBeLessThan(1e-5);
    }
  });

  it('starts each update from nothing', () => {
    for (const backend of backends) {
      const step = trainStep(backend, tinyConfig, 24, { ...defaultOptimiser, beta1: 0 }, initialWeights(parametersOf(tinyConfig), 1), { chunk: 8 });
      const first = step.update(partsOf(8), 1, 0);
      const again = step.update(partsOf(8), 2, 0);
      expect(again).toEqual(first);
      step.dispose();
    }
  });

  it('refuses chunks and parts that do not fill the batch', () => {
    const state = initialWeights(parametersOf(tinyConfig), 1);
    const open = (options: TrainStepOptions) => () => trainStep(backends[0]!, tinyConfig, 24, defaultOptimiser, state, options);
    expect(open({ chunk: 7 })).toThrow(/chunks of 7 pairs do not fill 24 pairs/);
    expect(open({ accumulate: 5 })).toThrow(/24 cannot be accumulated from 5 parts/);
    expect(open({ accumulate: 24 })).toThrow(/parts of at least 2 pairs/);
  });

  it('computes the loss in blocks of rows as whole, at scales up to 100', () => {
    const random = randomOf('blocks');
    const feeds = Object.fromEntries(['image', 'text'].map((name) => [name, Float32Array.from({ length: 10 * 4 }, () => random.normal())]));
    for (const backend of backends) {
      for (const logScale of [0, Math.log(100)]) {
        const step = backend.compileStep(
          (kernels, { image, text, scale }) => {
            const tape = new Tape(kernels);
            const [i, t] = [normalise(tape, image!), normalise(tape, text!)];
            const sources = new Map([['image', tape.watch(i)], ['text', tape.watch(t)], ['scale', tape.watch(scale!)]]);
            const loss = contrastiveLoss(tape, i, t, scale!);
            const plain = tape.gradients(loss, kernels.constant(Float32Array.of(1), []), sources);
            const blocks = contrastiveInBlocks(kernels, i, t, scale!, 4);
            const difference = (a: Tensor, b: Tensor): Tensor => kernels.total(kernels.square(kernels.subtract(a, b)));
            return {
              loss: difference(loss, blocks.loss),
              image: difference(plain.get('image')!, blocks.image),
              text: difference(plain.get('text')!, blocks.text),
              scale: difference(plain.get('scale')!, blocks.logScale),
            };
          },
          { image: { shape: [10, 4], dtype: 'float32' }, text: { shape: [10, 4], dtype: 'float32' }, scale: { shape: [], dtype: 'float32' } },
          { state: new Map() },
        );
        const differences = step.call({ ...feeds, scale: Float32Array.of(logScale) });
        for (const [name, [value]] of Object.entries(differences)) expect(value, `${backend.name} ${name}`).toBeLessThan(1e-8);
        step.dispose();
      }
    }
  });
});
