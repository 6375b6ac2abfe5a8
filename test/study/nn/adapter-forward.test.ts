/** What each adapter does to a sublayer's output, worked out here from its definition, number by number. */
import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { adapterOf } from '../../../src/study/nn/adapter-config.ts';
import { adapted, adaptedEmbedding, withLora } from '../../../src/study/nn/adapters.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import type { Kernels, Tensor } from '../../../src/study/nn/kernels.ts';
import { checked, modelConfig, type ModelConfig } from '../../../src/study/nn/model-config.ts';
import { Tape } from '../../../src/study/nn/tape.ts';
import { openTestBackends } from './backends.ts';

type Matrix = readonly (readonly number[])[];

const [width, size, pairs, tokens] = [16, 3, 2, 3];
const rows = pairs * tokens;
const experts = ['ct', 'mri'];
const drawn = (name: string, count: number, across: number): Matrix => {
  const random = randomOf('adapter', name);
  return Array.from({ length: count }, () => Array.from({ length: across }, () => 0.5 * random.normal()));
};
const times = (a: Matrix, b: Matrix): number[][] => a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
const plus = (a: Matrix, b: Matrix): number[][] => a.map((row, i) => row.map((value, j) => value + (b.length === 1 ? b[0]![j]! : b[i]![j]!)));
const mapped = (a: Matrix, of: (value: number) => number): number[][] => a.map((row) => row.map(of));
const softmax = (row: readonly number[]): number[] => {
  const sum = row.reduce((total, value) => total + Math.exp(value), 0);
  return row.map((value) => Math.exp(value) / sum);
};
const gelu = (value: number): number => value / (1 + Math.exp(-1.702 * value));

const x = drawn('x', rows, width);
const shapes: Readonly<Record<string, readonly [number, number]>> = { 'down.weight': [width, size], 'down.bias': [1, size], 'up.weight': [size, width], 'up.bias': [1, width] };
const of = (name: string): Matrix => {
  const end = Object.keys(shapes).find((suffix) => name.endsWith(suffix));
  if (end !== undefined) return drawn(name, ...shapes[end]!);
  return name.endsWith('gate.weight') ? drawn(name, width, experts.length) : drawn(name, width, width);
};
/** W_up σ(W_down h + b) + b of one expert. */
const change = (at: string): number[][] => plus(times(mapped(plus(times(x, of(`${at}.down.weight`)), of(`${at}.down.bias`)), gelu), of(`${at}.up.weight`)), of(`${at}.up.bias`));

let backend: Backend;
beforeAll(async () => {
  [backend] = (await openTestBackends()) as [Backend];
});

function ran(forward: (tape: Tape, part: (suffix: string) => Tensor, input: Tensor, kernels: Kernels) => Tensor, input = x, weights = of): number[][] {
  const step = backend.compileStep(
    (kernels, feeds) => {
      const part = (suffix: string): Tensor => {
        const values = weights(suffix);
        const shape = suffix.endsWith('bias') ? [values[0]!.length] : [values.length, values[0]!.length];
        return kernels.constant(Float32Array.from(values.flat()), shape);
      };
      return { y: forward(new Tape(kernels), part, feeds['x']!, kernels) };
    },
    { x: { shape: [input.length, input[0]!.length], dtype: 'float32' } },
    { state: new Map() },
  );
  const { y } = step.call({ x: Float32Array.from(input.flat()) });
  step.dispose();
  const across = y!.length / input.length;
  return input.map((_, row) => [...y!.subarray(row * across, (row + 1) * across)]);
}

const configOf = (name: string): ModelConfig => checked({ ...modelConfig('d16l1', { input: { resolution: 16, patch: 8, context: 8, vocabulary: 40 } }), adapter: adapterOf(name, experts) });
const close = (found: Matrix, expected: Matrix): void => found.forEach((row, i) => row.forEach((value, j) => expect(value, `${i}, ${j}`).toBeCloseTo(expected[i]![j]!, 4)));

/** By adapters after the MLP; the first pair is a CT, the second an MRI. */
const after = (name: string, place: 'attention' | 'mlp' = 'mlp'): number[][] =>
  ran((tape, part, input, kernels) => adapted(tape, part, configOf(name), place, input, { choice: kernels.constant(Float32Array.of(1, 0, 0, 1), [2, 2]), batch: pairs, tokens }));

describe('an adapter, from its definition', () => {
  it('pfeiffer: h + W_up σ(W_down h), after the MLP alone; houlsby after attention too', () => {
    const expected = plus(x, change('mlp.adapter.all'));
    close(after('pfeiffer-3'), expected);
    close(after('houlsby-3'), expected);
    close(after('houlsby-3', 'attention'), plus(x, change('attention.adapter.all')));
    close(after('pfeiffer-3', 'attention'), x);
  });

  it('hard: of several adapters the one of the modality of the pair that a row belongs to', () => {
    const outputs = experts.map((expert) => plus(x, change(`mlp.adapter.${expert}`)));
    close(after('pfeiffer-3+hard'), x.map((_, row) => outputs[row < tokens ? 0 : 1]![row]!));
  });

  it('soft: their changes, each by its share under a softmax of W_gate h, row by row', () => {
    const changes = experts.map((expert) => change(`mlp.adapter.${expert}`));
    const shares = times(x, of('mlp.adapter.gate.weight')).map(softmax);
    close(after('pfeiffer-3+soft'), x.map((row, i) => row.map((value, j) => value + shares[i]!.reduce((sum, share, m) => sum + share * changes[m]![i]![j]!, 0))));
  });

  it('fusion: values of their outputs, by a softmax of the query of h with the key of each', () => {
    const outputs = experts.map((expert) => plus(x, change(`mlp.adapter.${expert}`)));
    const [query, keys, values] = [times(x, of('mlp.adapter.fusion.query')), outputs.map((output) => times(output, of('mlp.adapter.fusion.key'))), outputs.map((output) => times(output, of('mlp.adapter.fusion.value')))];
    const expected = x.map((row, i) => {
      const shares = softmax(keys.map((key) => key[i]!.reduce((sum, value, j) => sum + value * query[i]![j]!, 0)));
      return row.map((_, j) => shares.reduce((sum, share, m) => sum + share * values[m]![i]![j]!, 0));
    });
    close(after('pfeiffer-3+fusion'), expected);
  });

  it('lora: queries and values with 2 B A of what they are made of, keys as they are', () => {
    const rank = 2;
    const weights = (name: string): Matrix => (name.endsWith('.a') ? drawn(name, width, rank) : drawn(name, rank, width));
    const packed = drawn('packed', rows, 3 * width);
    const found = ran((tape, part, input, kernels) => withLora(tape, part, configOf('lora-2'), input, kernels.constant(Float32Array.from(packed.flat()), [rows, 3 * width])), x, weights);
    const changeOf = (what: string): Matrix => mapped(times(times(x, weights(`lora.${what}.a`)), weights(`lora.${what}.b`)), (one) => 2 * one);
    const [query, value] = [changeOf('query'), changeOf('value')];
    close(found, packed.map((row, i) => row.map((one, j) => one + (j < width ? query[i]![j]! : j < 2 * width ? 0 : value[i]![j - 2 * width]!))));
  });

  it('clip-adapter: 0.2 · ReLU(ReLU(f W) W) + 0.8 · f, a quarter as wide inside', () => {
    const weights = (name: string): Matrix => (name.includes('down') ? drawn(name, width, width / 4) : drawn(name, width / 4, width));
    const relu = (value: number): number => Math.max(0, value);
    const own = mapped(times(mapped(times(x, weights('image.adapter.down.weight')), relu), weights('image.adapter.up.weight')), relu);
    close(ran((tape, part, input) => adaptedEmbedding(tape, part, configOf('clip-adapter'), input), x, weights), x.map((row, i) => row.map((value, j) => 0.2 * own[i]![j]! + 0.8 * value)));
  });
});
