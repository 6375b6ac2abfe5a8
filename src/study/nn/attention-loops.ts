import { keyRanges } from './attention-mask.ts';
import type { AttentionShape } from './kernels.ts';

/**
 * Attention in plain loops, for the wasm and cpu backends. tfjs multiplies batches of matrices there at 1.1 GFLOP/s
 * (without SIMD) and takes 14 ms to permute the five axes of 128 × 17 tokens of width 32; these loops need no permutation
 * at any number of heads and skip what a causal mask hides.
 *
 * `packed [batch * tokens, 3 * width]` holds queries, keys and values side by side; the heads divide the width. One
 * sequence's head at a time is copied to double-precision scratch, where the sums run.
 */
export function attentionForward(
  packed: Float32Array,
  shape: AttentionShape,
  keyBias: Float32Array | null,
  keep: boolean,
): { output: Float32Array; probabilities: Float32Array | null } {
  const { batch, tokens, heads } = shape;
  const width = (packed.length / (3 * batch * tokens)) | 0;
  const size = (width / heads) | 0;
  const output = new Float32Array(batch * tokens * width);
  const probabilities = keep ? new Float32Array(batch * heads * tokens * tokens) : null;
  const [q, k, v] = [0, 1, 2].map(() => new Float64Array(tokens * size)) as [Float64Array, Float64Array, Float64Array];
  const sum = new Float64Array(size);
  const softmax = rowSoftmax(shape, keyBias, size);
  const row = new Float64Array(tokens);
  const ranges = keyRanges(shape);
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      const base = sequence * tokens * 3 * width + head * size;
      unpack(packed, base, 3 * width, q, tokens, size, 1 / Math.sqrt(size));
      unpack(packed, base + width, 3 * width, k, tokens, size, 1);
      unpack(packed, base + 2 * width, 3 * width, v, tokens, size, 1);
      for (let i = 0; i < tokens; i++) {
        softmax(q, k, sequence, i, row);
        const line = ((sequence * heads + head) * tokens + i) * tokens;
        sum.fill(0);
        for (const [from, to] of ranges[i]!) {
          for (let j = from; j < to; j++) addScaled(sum, 0, v, j * size, row[j]!, size);
          if (probabilities !== null) for (let j = from; j < to; j++) probabilities[line + j] = row[j]!;
        }
        output.set(sum, (sequence * tokens + i) * width + head * size);
      }
    }
  }
  return { output, probabilities };
}

/** Fills a row with what query `i` gives to each key it sees; the queries are already scaled. */
function rowSoftmax(
  shape: AttentionShape,
  keyBias: Float32Array | null,
  size: number,
): (q: Float64Array, k: Float64Array, sequence: number, i: number, row: Float64Array) => void {
  const { tokens, mask } = shape;
  const bias = mask?.bias ?? null;
  const ranges = keyRanges(shape);
  return (q, k, sequence, i, row) => {
    let max = -Infinity;
    for (const [from, to] of ranges[i]!) {
      for (let j = from; j < to; j++) {
        let score = dot(q, i * size, k, j * size, size);
        if (bias !== null) score += bias[i * tokens + j]!;
        if (keyBias !== null) score += keyBias[sequence * tokens + j]!;
        row[j] = score;
        if (score > max) max = score;
      }
    }
    let total = 0;
    for (const [from, to] of ranges[i]!) for (let j = from; j < to; j++) total += row[j] = Math.exp(row[j]! - max);
    for (const [from, to] of ranges[i]!) for (let j = from; j < to; j++) row[j]! /= total;
  };
}

/** The gradient with regard to `packed`, from the probabilities that the forward pass kept, or computed anew if it kept none. */
export function attentionBackward(
  packed: Float32Array,
  probabilities: Float32Array | null,
  dy: Float32Array,
  shape: AttentionShape,
  keyBias: Float32Array | null,
): Float32Array {
  const { batch, tokens, heads } = shape;
  const width = (packed.length / (3 * batch * tokens)) | 0;
  const size = (width / heads) | 0;
  const gradient = new Float32Array(packed.length);
  const scratch = (): Float64Array => new Float64Array(tokens * size);
  const [q, k, v, d, dq, dk, dv] = [scratch(), scratch(), scratch(), scratch(), scratch(), scratch(), scratch()];
  const scale = 1 / Math.sqrt(size);
  const row = new Float64Array(tokens);
  const p = new Float64Array(tokens);
  const softmax = rowSoftmax(shape, keyBias, size);
  const ranges = keyRanges(shape);
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      const base = sequence * tokens * 3 * width + head * size;
      unpack(packed, base, 3 * width, q, tokens, size, scale);
      unpack(packed, base + width, 3 * width, k, tokens, size, 1);
      unpack(packed, base + 2 * width, 3 * width, v, tokens, size, 1);
      unpack(dy, sequence * tokens * width + head * size, width, d, tokens, size, 1);
      dq.fill(0);
      dk.fill(0);
      dv.fill(0);
      for (let i = 0; i < tokens; i++) {
        const line = ((sequence * heads + head) * tokens + i) * tokens;
        if (probabilities === null) softmax(q, k, sequence, i, p);
        else for (const [from, to] of ranges[i]!) for (let j = from; j < to; j++) p[j] = probabilities[line + j]!;
        let along = 0;
        for (const [from, to] of ranges[i]!) {
          for (let j = from; j < to; j++) {
            const value = dot(d, i * size, v, j * size, size);
            addScaled(dv, j * size, d, i * size, p[j]!, size);
            row[j] = value;
            along += p[j]! * value;
          }
        }
        for (const [from, to] of ranges[i]!) {
          for (let j = from; j < to; j++) {
            const ds = p[j]! * (row[j]! - along);
            addScaled(dq, i * size, k, j * size, ds * scale, size);
            // These queries carry the scale already.
            addScaled(dk, j * size, q, i * size, ds, size);
          }
        }
      }
      pack(dq, gradient, base, 3 * width, tokens, size);
      pack(dk, gradient, base + width, 3 * width, tokens, size);
      pack(dv, gradient, base + 2 * width, 3 * width, tokens, size);
    }
  }
  return gradient;
}

/** Four sums at once: one alone would wait for each addition before the next. */
function dot(a: Float64Array, from: number, b: Float64Array, other: number, size: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = size & ~3;
  for (let c = 0; c < whole; c += 4) {
    s0 += a[from + c]! * b[other + c]!;
    s1 += a[from + c + 1]! * b[other + c + 1]!;
    s2 += a[from + c + 2]! * b[other + c + 2]!;
    s3 += a[from + c + 3]! * b[other + c + 3]!;
  }
  for (let c = whole; c < size; c++) s0 += a[from + c]! * b[other + c]!;
  return s0 + s1 + (s2 + s3);
}

function addScaled(to: Float64Array, at: number, from: Float64Array, other: number, factor: number, size: number): void {
  const whole = size & ~3;
  for (let c = 0; c < whole; c += 4) {
    to[at + c]! += factor * from[other + c]!;
    to[at + c + 1]! += factor * from[other + c + 1]!;
    to[at + c + 2]! += factor * from[other + c + 2]!;
    to[at + c + 3]! += factor * from[other + c + 3]!;
  }
  for (let c = whole; c < size; c++) to[at + c]! += factor * from[other + c]!;
}

function unpack(
  from: Float32Array,
  base: number,
  stride: number,
  to: Float64Array,
  tokens: number,
  size: number,
  factor: number,
): void {
  for (let token = 0; token < tokens; token++) {
    for (let c = 0; c < size; c++) to[token * size + c] = from[base + token * stride + c]! * factor;
  }
}

function pack(from: Float64Array, to: Float32Array, base: number, stride: number, tokens: number, size: number): void {
  for (let token = 0; token < tokens; token++) {
    for (let c = 0; c < size; c++) to[base + token * stride + c] = from[token * size + c]!;
  }
}
