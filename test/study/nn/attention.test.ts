import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { chunkSize } from '../../../src/study/nn/attention-graph.ts';
import { isAllowed, queryChunks } from '../../../src/study/nn/attention-mask.ts';
import { type AttentionPattern, attentionMask } from '../../../src/study/nn/attention-pattern.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import type { AttentionShape } from '../../../src/study/nn/kernels.ts';
import { openTestBackends } from './backends.ts';

const [batch, tokens, heads, size] = [2, 20, 2, 3];
const width = heads * size;
const random = randomOf('attention');
const packed = Float32Array.from({ length: batch * tokens * 3 * width }, () => random.normal());

/** Attention from its definition, pair by pair. */
function byDefinition(sees: (query: number, key: number) => boolean, bias: (sequence: number, query: number, key: number) => number): number[] {
  const output = new Array<number>(batch * tokens * width).fill(0);
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      const at = (part: number, token: number, channel: number): number =>
        packed[((sequence * tokens + token) * 3 + part) * width + head * size + channel]!;
      for (let query = 0; query < tokens; query++) {
        const weights = Array.from({ length: tokens }, (_, key) => {
          if (!sees(query, key)) return 0;
          let score = 0;
          for (let channel = 0; channel < size; channel++) score += at(0, query, channel) * at(1, key, channel);
          return Math.exp(score / Math.sqrt(size) + bias(sequence, query, key));
        });
        const total = weights.reduce((sum, weight) => sum + weight);
        for (let channel = 0; channel < size; channel++) {
          const sum = weights.reduce((value, weight, key) => value + weight * at(2, key, channel), 0);
          output[(sequence * tokens + query) * width + head * size + channel] = sum / total;
        }
      }
    }
  }
  return output;
}

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

function run(backend: Backend, shape: Partial<AttentionShape>, keyBias?: Float32Array): Float32Array {
  const step = backend.compileStep(
    (kernels, feeds) => {
      const bias = feeds['bias'];
      return { y: kernels.attention(feeds['packed']!, { batch, tokens, heads, causal: false, ...shape, ...(bias ? { keyBias: bias } : {}) }).output };
    },
    {
      packed: { shape: [batch * tokens, 3 * width], dtype: 'float32' },
      ...(keyBias ? { bias: { shape: [batch, tokens], dtype: 'float32' as const } } : {}),
    },
    { state: new Map() },
  );
  const { y } = step.call({ packed, ...(keyBias ? { bias: keyBias } : {}) });
  step.dispose();
  return y!;
}

function near(given: Float32Array, expected: ArrayLike<number>): void {
  expect(given.length).toBe(expected.length);
  expect(given.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0)).toBeLessThan(1e-5);
}

describe('attention patterns', () => {
  const scattered = Uint8Array.from({ length: tokens * tokens }, (_, pair) =>
    Math.floor(pair / tokens) === pair % tokens || random.next() < 0.3 ? 1 : 0,
  );
  const lopsided = Uint8Array.from({ length: tokens * tokens }, (_, pair) => {
    const after = (pair % tokens) - Math.floor(pair / tokens);
    return after >= -3 && after <= 1 ? 1 : 0;
  });
  const named: [AttentionPattern, number[]][] = [
    [{ kind: 'prefix', length: 4 }, []],
    [{ kind: 'dilated', width: 4, dilation: 3 }, []],
    [{ kind: 'longformer', width: 4 }, [0, 19]],
    [{ kind: 'bigbird', block: 3, windowBlocks: 1, randomBlocks: 2, seed: 5 }, []],
    [{ kind: 'strided', width: 2, stride: 5 }, []],
    [{ kind: 'block', size: 7 }, [3]],
  ];
  const cases: Record<string, [Partial<AttentionShape>, (query: number, key: number) => boolean]> = {
    everything: [{}, () => true],
    causal: [{ causal: true }, (query, key) => key <= query],
    'a window': [{ mask: attentionMask({ kind: 'window', width: 6 }, tokens) }, (query, key) => Math.abs(query - key) <= 3],
    'a causal window': [{ causal: true, mask: attentionMask({ kind: 'window', width: 6 }, tokens) }, (query, key) => key >= query - 3 && key <= query],
    'a band with less after than before': [{ mask: { allowed: lopsided } }, (query, key) => key >= query - 3 && key <= query + 1],
    ...Object.fromEntries(
      named.map(([pattern, globals]) => {
        const mask = attentionMask(pattern, tokens, globals);
        return [pattern.kind, [{ mask }, (query: number, key: number) => mask.allowed[query * tokens + key] === 1]];
      }),
    ),
    'a pattern of any form': [{ mask: { allowed: scattered } }, (query, key) => scattered[query * tokens + key] === 1],
  };
  it.each(Object.keys(cases))('%s, whole and in chunks', (name) => {
    const [shape, sees] = cases[name]!;
    const expected = byDefinition(sees, () => 0);
    for (const backend of backends) for (const chunk of [tokens, 7, 1]) near(run(backend, { ...shape, chunk }), expected);
  });

  it('adds a bias by pair, and one by sequence and key', () => {
    const bias = Float32Array.from({ length: tokens * tokens }, () => random.normal());
    const keyBias = Float32Array.from({ length: batch * tokens }, (_, index) => (index % tokens > 15 ? -1e9 : random.normal()));
    const expected = byDefinition(
      (query, key) => key <= query || key === 0,
      (sequence, query, key) => bias[query * tokens + key]! + keyBias[sequence * tokens + key]!,
    );
    const allowed = Uint8Array.from({ length: tokens * tokens }, (_, pair) => (pair % tokens <= Math.floor(pair / tokens) || pair % tokens === 0 ? 1 : 0));
    for (const backend of backends) for (const chunk of [tokens, 6]) near(run(backend, { chunk, mask: { allowed, bias } }, keyBias), expected);
  });

  it('computes only what some query of a chunk sees', () => {
    const shape = { batch: 1, tokens: 256, heads: 1, causal: false, mask: attentionMask({ kind: 'window', width: 16 }, 256) };
    const chunks = queryChunks(shape, 64);
    expect(chunks.map(({ keys }) => keys)).toEqual([[[0, 72]], [[56, 136]], [[120, 200]], [[184, 256]]]);
    // A global first token beside the band: two ranges.
    const allowed = shape.mask.allowed.slice();
    for (let query = 0; query < 256; query++) allowed[query * 256] = 1;
    expect(queryChunks({ ...shape, mask: { allowed } }, 64)[3]!.keys).toEqual([[0, 1], [184, 256]]);
    expect(queryChunks({ ...shape, causal: true, mask: {} }, 128).map(({ keys }) => keys)).toEqual([[[0, 128]], [[0, 256]]]);
  });

  it('refuses a mask of another size, and a query that sees nothing', () => {
    for (const backend of backends) {
      expect(() => run(backend, { mask: { allowed: new Uint8Array(9) } })).toThrow(/allowed has 9 values; 20 tokens need 20 × 20/);
      expect(() => run(backend, { causal: true, mask: { allowed: attentionMask({ kind: 'block', size: 1 }, tokens).allowed.map((value, pair) => (pair === 0 ? 0 : value)) } })).toThrow(
        /lets query 0 see no key/,
      );
    }
  });
});

/** The gradient of Σ dy · attention from its definition, in double precision: `[batch * tokens, 3 * width]`. */
function gradientByDefinition(packed: Float32Array, dy: Float32Array, shape: Pick<AttentionShape, 'batch' | 'tokens' | 'heads' | 'causal' | 'mask'>): Float64Array {
  const { batch, tokens, heads } = shape;
  const width = packed.length / (3 * batch * tokens);
  const size = width / heads;
  const gradient = new Float64Array(packed.length);
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      const at = (part: number, token: number): number => ((sequence * tokens + token) * 3 + part) * width + head * size;
      const product = (a: Float32Array, from: number, b: Float32Array, other: number): number => {
        let sum = 0;
        for (let channel = 0; channel < size; channel++) sum += a[from + channel]! * b[other + channel]!;
        return sum;
      };
      const addTo = (to: number, from: Float32Array, other: number, factor: number): void => {
        for (let channel = 0; channel < size; channel++) gradient[to + channel]! += factor * from[other + channel]!;
      };
      for (let query = 0; query < tokens; query++) {
        const seen = Array.from({ length: tokens }, (_, key) => key).filter((key) => isAllowed(shape, query, key));
        const exponentials = seen.map((key) => Math.exp(product(packed, at(0, query), packed, at(1, key)) / Math.sqrt(size) + (shape.mask?.bias?.[query * tokens + key] ?? 0)));
        const total = exponentials.reduce((sum, value) => sum + value);
        const own = (sequence * tokens + query) * width + head * size;
        const towards = seen.map((key) => product(dy, own, packed, at(2, key)));
        const mean = towards.reduce((sum, value, index) => sum + (value * exponentials[index]!) / total, 0);
        seen.forEach((key, index) => {
          const p = exponentials[index]! / total;
          const score = (p * (towards[index]! - mean)) / Math.sqrt(size);
          addTo(at(0, query), packed, at(1, key), score);
          addTo(at(1, key), packed, at(0, query), score);
          addTo(at(2, key), dy, own, p);
        });
      }
    }
  }
  return gradient;
}

describe('contexts long enough to skip keys that nobody sees', () => {
  const pairs = (tokens: number, sees: (query: number, key: number) => boolean): Uint8Array =>
    Uint8Array.from({ length: tokens * tokens }, (_, pair) => (sees(Math.floor(pair / tokens), pair % tokens) ? 1 : 0));
  const shapes: Record<string, { tokens: number; causal: boolean; mask?: AttentionShape['mask'] }> = {
    'causal, 191 tokens, whole': { tokens: 191, causal: true },
    'causal, 192 tokens': { tokens: 192, causal: true },
    'causal, 248 tokens': { tokens: 248, causal: true },
    'causal, 301 tokens, the last chunk shorter': { tokens: 301, causal: true },
    'causal with a bias': { tokens: 200, causal: true, mask: { bias: Float32Array.from({ length: 200 * 200 }, (_, pair) => Math.sin(pair)) } },
    'all pairs': { tokens: 248, causal: false },
    'a causal window': { tokens: 200, causal: true, mask: attentionMask({ kind: 'window', width: 20 }, 200) },
    'two ranges of keys': { tokens: 200, causal: false, mask: attentionMask({ kind: 'longformer', width: 10 }, 200, [0]) },
    'keys after those of earlier chunks, and one that nobody sees': {
      tokens: 200,
      causal: false,
      mask: { allowed: pairs(200, (query, key) => key !== 199 && (query < 100 ? key >= 150 : key < 100)) },
    },
  };

  it.each(Object.keys(shapes))('%s: output and gradient are those of the definition', (name) => {
    const { tokens, causal, mask } = shapes[name]!;
    const [batch, heads, width] = [2, 2, 8];
    const shape = { batch, tokens, heads, causal, ...(mask === undefined ? {} : { mask }) };
    const [packed, dy] = [3, 1].map((parts) => Float32Array.from({ length: batch * tokens * parts * width }, () => random.normal())) as [Float32Array, Float32Array];
    const expected = gradientByDefinition(packed, dy, shape);
    for (const backend of backends) {
      const attention = (options: Partial<AttentionShape>) => {
        const step = backend.compileStep(
          (kernels, feeds) => {
            const { output, saved } = kernels.attention(feeds['packed']!, { ...shape, ...options });
            return { output, gradient: kernels.attentionGradient(feeds['packed']!, saved, feeds['dy']!, { ...shape, ...options }) };
          },
          { packed: { shape: [batch * tokens, 3 * width], dtype: 'float32' }, dy: { shape: [batch * tokens, width], dtype: 'float32' } },
          { state: new Map() },
        );
        const results = step.call({ packed, dy });
        step.dispose();
        return results as { output: Float32Array; gradient: Float32Array };
      };
      const chosen = attention({});
      const whole = attention({ chunk: tokens, recompute: false });
      near(chosen.output, whole.output);
      near(chosen.gradient, whole.gradient);
      near(chosen.gradient, expected);
    }
  });

  it('cuts a causal context from 192 tokens on into up to four chunks', () => {
    const chunks = (tokens: number): number[] => {
      const shape: AttentionShape = { batch: 1, tokens, heads: 1, causal: true };
      return queryChunks(shape, chunkSize(shape)).map(({ from, to, keys }) => (to - from) * keys.reduce((sum, [start, end]) => sum + end - start, 0));
    };
    expect(chunks(191)).toEqual([191 * 191]);
    expect(chunks(192)).toEqual([64 * 64, 64 * 128, 64 * 192]);
    expect(chunks(248)).toEqual([62 * 62, 62 * 124, 62 * 186, 62 * 248]);
    expect(chunks(512)).toEqual([128 * 128, 128 * 256, 128 * 384, 128 * 512]);
  });
});
