import { beforeAll, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { openTestBackends } from './backends.ts';

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

const random = randomOf('wide products');
const drawn = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());

/** aᵀ · b, in double precision. */
function byDefinition(a: Float32Array, b: Float32Array, [rows, m, n]: readonly [number, number, number]): Float64Array {
  const product = new Float64Array(m * n);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) product[i * n + j]! += a[row * m + i]! * b[row * n + j]!;
  }
  return product;
}

// Factors of 1,024 columns are multiplied in blocks of them.
it.each([
  [300, 5, 1024],
  [300, 1024, 3],
  [300, 2048, 3],
  [255, 1024, 4],
  [300, 1020, 6],
] as const)('a sum over %i rows of products of %i and %i columns', (...sizes) => {
  const [rows, m, n] = sizes;
  const [a, b] = [drawn(rows * m), drawn(rows * n)];
  const expected = byDefinition(a, b, sizes);
  for (const backend of backends) {
    const step = backend.compileStep(
      (kernels, feeds) => ({ product: kernels.matMul(feeds['a']!, feeds['b']!, true) }),
      { a: { shape: [rows, m], dtype: 'float32' }, b: { shape: [rows, n], dtype: 'float32' } },
      { state: new Map() },
    );
    const { product } = step.call({ a, b });
    step.dispose();
    expect(product!.length).toBe(m * n);
    expect(product!.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0)).toBeLessThan(1e-4);
  }
});
