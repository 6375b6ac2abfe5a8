/** Five thousand steps hold no more memory than a few: tensors that are not let go of would show in the process's size. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { initialWeights, parametersOf } from '../../src/study/nn/parameters.ts';
import { batchesInline } from '../../src/study/nn/batch-feed.ts';
import { wholeReading } from '../../src/study/nn/reading.ts';
import { trainStep } from '../../src/study/nn/train-step.ts';
import { hasNative, openTestBackend } from '../study/nn/backends.ts';
import { tinyConfig, tinyData, tinySettings } from '../study/nn/rig.ts';

const resident = (): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

it.for(['wasm', 'tensorflow'] as const)('5,000 steps on %s leave no tensors and no memory behind', async (name, context) => {
  context.skip(process.platform !== 'linux', 'needs /proc');
  context.skip(name === 'tensorflow' && !hasNative && process.env['CI'] === undefined, 'native TensorFlow is not installed');
  const backend = await openTestBackend(name);
  const { images, tokens, train } = tinyData();
  const plan = { config: tinyConfig, rows: train, batch: 16, partSize: 16, seed: 1, augment: { crop: 0.6, flip: true }, reading: wholeReading };
  const feed = batchesInline(images, tokens, plan);
  const step = trainStep(backend, tinyConfig, 16, tinySettings.optimiser, initialWeights(parametersOf(tinyConfig), 1));
  const sizes: number[] = [];
  const tensors: number[] = [];
  for (let at = 1; at <= 5000; at++) {
    step.update((part) => feed.next(at, part), at, 1e-3);
    if (at % 500 !== 0) continue;
    sizes.push(resident());
    tensors.push(tf.memory().numTensors);
  }
  step.dispose();
  console.log(`${backend.label}: ${sizes.map((size) => size.toFixed(0)).join(', ')} MB after each 500 steps, ${tensors.at(-1)} tensors`);
  expect(new Set(tensors.slice(1)).size).toBe(1);
  // Heaps breathe by tens of megabytes, but come down again. One batch's patches, 49 kB, kept each step would be 70 MB by step 3500.
  expect(Math.min(...sizes.slice(-4)) - Math.max(...sizes.slice(1, 4))).toBeLessThan(16);
});
