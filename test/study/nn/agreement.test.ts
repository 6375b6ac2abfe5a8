/** Each operation on every backend that is there, within tolerances of its own. */
import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import type { AttentionShape, Kernels, Tensor } from '../../../src/study/nn/kernels.ts';
import { elements } from '../../../src/study/nn/kernels.ts';
import { hasNative, openTestBackend } from './backends.ts';

type Inputs = Readonly<Record<'a' | 'b' | 'row' | 'packed' | 'dy' | 'table', Tensor>>;
interface Operation {
  readonly run: (kernels: Kernels, inputs: Inputs, ids: Tensor) => Tensor;
  /** Of the largest value; float32 has 6e-8. */
  readonly tolerance: number;
}

const shapes = { a: [12, 10], b: [12, 10], row: [10], packed: [12, 24], dy: [12, 8], table: [7, 5] } as const;
const attention: AttentionShape = { batch: 2, tokens: 6, heads: 2, causal: true };
const positive = (kernels: Kernels, x: Tensor): Tensor => kernels.shift(kernels.square(x), 0.1);
const plain = 5e-7;
const summed = 3e-6;

const operations: Readonly<Record<string, Operation>> = {
  matMul: { run: (k, { a, b }) => k.matMul(a, b, false, true), tolerance: summed },
  'matMul, left transposed': { run: (k, { a, b }) => k.matMul(a, b, true, false), tolerance: summed },
  add: { run: (k, { a, b }) => k.add(a, b), tolerance: plain },
  subtract: { run: (k, { a, b }) => k.subtract(a, b), tolerance: plain },
  multiply: { run: (k, { a, b }) => k.multiply(a, b), tolerance: plain },
  divide: { run: (k, { a, b }) => k.divide(a, positive(k, b)), tolerance: plain },
  scale: { run: (k, { a }) => k.scale(a, -1.7), tolerance: plain },
  shift: { run: (k, { a }) => k.shift(a, 0.3), tolerance: plain },
  minimum: { run: (k, { a }) => k.minimum(a, 0.2), tolerance: plain },
  exp: { run: (k, { a }) => k.exp(a), tolerance: 1e-6 },
  log: { run: (k, { a }) => k.log(positive(k, a)), tolerance: 1e-6 },
  sqrt: { run: (k, { a }) => k.sqrt(positive(k, a)), tolerance: plain },
  rsqrt: { run: (k, { a }) => k.rsqrt(positive(k, a)), tolerance: 1e-6 },
  square: { run: (k, { a }) => k.square(a), tolerance: plain },
  sigmoid: { run: (k, { a }) => k.sigmoid(a), tolerance: 1e-6 },
  'sum over columns': { run: (k, { a }) => k.sum(a, 1), tolerance: summed },
  'mean over rows': { run: (k, { a }) => k.mean(a, 0), tolerance: summed },
  max: { run: (k, { a }) => k.max(a, 1), tolerance: 0 },
  totalSquares: { run: (k, { a }) => k.totalSquares(a), tolerance: summed },
  total: { run: (k, { a }) => k.total(positive(k, a)), tolerance: summed },
  reshape: { run: (k, { a }) => k.reshape(a, [10, 12]), tolerance: 0 },
  transpose: { run: (k, { a }) => k.transpose(a), tolerance: 0 },
  slice: { run: (k, { a }) => k.slice(a, [2, 1], [5, 4]), tolerance: 0 },
  concat: { run: (k, { a, b }) => k.concat([a, b], 1), tolerance: 0 },
  biasAdd: { run: (k, { a, row }) => k.biasAdd(a, row), tolerance: plain },
  biasGradient: { run: (k, { a }) => k.biasGradient(a), tolerance: summed },
  gatherRows: { run: (k, { table }, ids) => k.gatherRows(table, ids), tolerance: 0 },
  scatterRows: { run: (k, { dy }, ids) => k.scatterRows(dy, ids, 7), tolerance: summed },
  attention: { run: (k, { packed }) => k.attention(packed, attention).output, tolerance: summed },
  'attention, backwards': {
    run: (k, { packed, dy }) => k.attentionGradient(packed, k.attention(packed, attention).saved, dy, attention),
    tolerance: summed,
  },
};

const random = randomOf('agreement');
const values = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, Float32Array.from({ length: elements(shape) }, () => random.normal())]));
const ids = Int32Array.from({ length: 12 }, () => random.below(7));

/** What each operation gives on a backend. */
function resultsOn(backend: Backend): Record<string, Float32Array> {
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: 'float32' as const }]));
  const step = backend.compileStep(
    (kernels, given) =>
      Object.fromEntries(Object.values(operations).map(({ run }, index) => [`out${index}`, run(kernels, given as Inputs, given['ids']!)])),
    { ...feeds, ids: { shape: [12], dtype: 'int32' } },
    { state: new Map() },
  );
  const outputs = step.call({ ...values, ids });
  step.dispose();
  return Object.fromEntries(Object.keys(operations).map((name, index) => [name, outputs[`out${index}`]!]));
}

describe('operations', () => {
  let results: Readonly<Record<string, Readonly<Record<string, Float32Array>>>>;
  beforeAll(async () => {
    const found: Record<string, Record<string, Float32Array>> = {};
    // One after the other: tfjs has one backend set at a time.
    for (const name of ['cpu', 'wasm', ...(hasNative ? ['tensorflow' as const] : [])] as const) found[name] = resultsOn(await openTestBackend(name));
    results = found;
  });

  it.for(Object.entries(operations))('%s gives the same on every backend', ([name, { tolerance }]) => {
    const { cpu, ...others } = results;
    const reference = cpu![name]!;
    const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeGreaterThan(0);
    for (const [backend, found] of Object.entries(others)) {
      expect(found[name]).toHaveLength(reference.length);
      const farthest = reference.reduce((most, value, index) => Math.max(most, Math.abs(value - found[name]![index]!)), 0);
      expect(farthest / largest, backend).toBeLessThanOrEqual(tolerance);
    }
  });

  it('are those that are meant: a few against plain JavaScript in double precision', () => {
    const { cpu } = results;
    const at = (name: string, row: number, column: number): number => values[name]![row * 10 + column]!;
    const product = Array.from({ length: 10 }, (_, column) => at('a', 3, column) * at('b', 5, column)).reduce((sum, value) => sum + value, 0);
    expect(cpu!['matMul']![3 * 12 + 5]).toBeCloseTo(product, 5);
    expect(cpu!['sigmoid']![7]).toBeCloseTo(1 / (1 + Math.exp(-values['a']![7]!)), 6);
    expect(cpu!['gatherRows']!.subarray(20, 25)).toEqual(values['table']!.subarray(ids[4]! * 5, ids[4]! * 5 + 5));
    // The first token of a causal text sees itself alone: its output is its value.
    expect([...cpu!['attention']!.subarray(0, 8)]).toEqual([...values['packed']!.subarray(16, 24)].map((value) => expect.closeTo(value, 5) as number));
  });
});
