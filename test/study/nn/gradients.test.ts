import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import type { FeedShape } from '../../../src/study/nn/compiled-step.ts';
import type { Tensor } from '../../../src/study/nn/kernels.ts';
import { attentionMask } from '../../../src/study/nn/attention-pattern.ts';
import type { AttentionShape } from '../../../src/study/nn/kernels.ts';
import * as layers from '../../../src/study/nn/layers.ts';
import { Tape } from '../../../src/study/nn/tape.ts';
import { openTestBackends } from './backends.ts';

interface Case {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Ids that a layer takes beside its inputs. */
  readonly ids?: Int32Array;
  forward(tape: Tape, inputs: Readonly<Record<string, Tensor>>, ids: Tensor | undefined): Tensor;
}

const attention = (heads: number, causal: boolean, options: Partial<AttentionShape> = {}, tokens = 3): Case => ({
  inputs: { packed: [2 * tokens, 3 * 4] },
  forward: (tape, { packed }) => layers.attention(tape, packed!, { batch: 2, tokens, heads, causal, ...options }),
});

const cases: Readonly<Record<string, Case>> = {
  dense: {
    inputs: { x: [4, 5], weight: [5, 3], bias: [3] },
    forward: (tape, { x, weight, bias }) => layers.dense(tape, x!, weight!, bias!),
  },
  'layer norm': {
    inputs: { x: [3, 6], gain: [6], bias: [6] },
    forward: (tape, { x, gain, bias }) => layers.layerNorm(tape, x!, gain!, bias!),
  },
  'quick gelu': { inputs: { x: [3, 4] }, forward: (tape, { x }) => layers.quickGelu(tape, x!) },
  'full attention, one head': attention(1, false),
  'full attention, two heads': attention(2, false),
  'causal attention, four heads': attention(4, true),
  'attention in chunks, recomputed': attention(2, true, { chunk: 2, recompute: true }, 5),
  'attention in chunks, kept': attention(2, false, { chunk: 2, recompute: false }, 5),
  'attention in a band with a bias': attention(
    2,
    false,
    { chunk: 1, mask: { ...attentionMask({ kind: 'window', width: 2 }, 4), bias: Float32Array.from({ length: 16 }, (_, pair) => Math.sin(pair)) } },
    4,
  ),
  'rows by id, some twice': {
    inputs: { table: [7, 3] },
    ids: Int32Array.of(1, 4, 4, 0, 6),
    forward: (tape, { table }, ids) => layers.gatherRows(tape, table!, ids!),
  },
  positions: {
    inputs: { x: [3 * 4, 2], positions: [4, 2] },
    forward: (tape, { x, positions }) => layers.addPositions(tape, x!, positions!, 3),
  },
  'class token': {
    inputs: { patches: [3 * 4, 2], embedding: [2] },
    forward: (tape, { patches, embedding }) => layers.prependClass(tape, patches!, embedding!, 3),
  },
  normalise: { inputs: { x: [4, 5] }, forward: (tape, { x }) => layers.normalise(tape, x!) },
  'contrastive loss': {
    inputs: { image: [5, 4], text: [5, 4], scale: [] },
    forward: (tape, { image, text, scale }) => {
      const unit = (x: Tensor): Tensor => layers.normalise(tape, x);
      const loss = layers.contrastiveLoss(tape, unit(image!), unit(text!), scale!);
      return tape.record([loss], tape.kernels.reshape(loss, [1, 1]), (dy) => [tape.kernels.reshape(dy, [])]);
    },
  },
};

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

const count = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

describe('gradients against finite differences', () => {
  it.each(Object.keys(cases))('%s', (name) => {
    const { inputs, ids, forward } = cases[name]!;
    const random = randomOf('gradients', name);
    const values = Object.fromEntries(
      Object.entries(inputs).map(([key, shape]) => [key, Float32Array.from({ length: count(shape) }, () => random.normal())]),
    );
    const feeds: Record<string, FeedShape> = Object.fromEntries(
      Object.entries(inputs).map(([key, shape]) => [key, { shape, dtype: 'float32' as const }]),
    );
    if (ids !== undefined) feeds['ids'] = { shape: [ids.length], dtype: 'int32' };
    const weights: number[] = [];
    for (const backend of backends) {
      // The sum of the outputs, each weighted at random, so that no symmetry hides a mistake.
      const step = backend.compileStep(
        (kernels, tensors) => {
          const tape = new Tape(kernels);
          const watched = new Map(Object.keys(inputs).map((key) => [key, tape.watch(tensors[key]!)]));
          const output = forward(tape, Object.fromEntries(watched), tensors['ids']);
          while (weights.length < count(output.shape)) weights.push(random.normal());
          const weight = kernels.constant(Float32Array.from(weights.slice(0, count(output.shape))), output.shape);
          const gradients = tape.gradients(output, weight, watched);
          return { sum: kernels.total(kernels.multiply(output, weight)), ...Object.fromEntries(gradients) };
        },
        feeds,
        { state: new Map() },
      );
      const given = ids === undefined ? values : { ...values, ids };
      const gradients = step.call(given);
      const delta = 1e-2;
      for (const [key, array] of Object.entries(values)) {
        array.forEach((value, index) => {
          const at = (shift: number): number => {
            array[index] = value + shift;
            const { sum } = step.call(given);
            array[index] = value;
            return sum![0]!;
          };
          const difference = (8 * (at(delta) - at(-delta)) - (at(2 * delta) - at(-2 * delta))) / (12 * delta);
          expect(Math.abs(gradients[key]![index]! - difference), `${backend.name} ${key}[${index}]`).toBeLessThan(
            2e-3 * (1 + Math.abs(difference)),
          );
        });
      }
      step.dispose();
    }
  });
});
