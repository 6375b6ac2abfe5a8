/** Layers that decoders are made of: sequences side by side, attention from one to the other, and the loss of next tokens. */
import type { Tensor } from './kernels.ts';
import { attention } from './layers.ts';
import type { Tape } from './tape.ts';

/** `first [batch * m, width]` and `second [batch * n, width]`, one after the other in each of the batch: `[batch * (m + n), width]`. */
export function joinSequences(tape: Tape, first: Tensor, second: Tensor, batch: number): Tensor {
  const { kernels } = tape;
  const width = first.shape[1]!;
  const [m, n] = [first.shape[0]! / batch, second.shape[0]! / batch];
  const joined = kernels.concat([kernels.reshape(first, [batch, m * width]), kernels.reshape(second, [batch, n * width])], 1);
  return tape.record([first, second], kernels.reshape(joined, [batch * (m + n), width]), (dy) => {
    const flat = kernels.reshape(dy, [batch, (m + n) * width]);
    return [
      kernels.reshape(kernels.slice(flat, [0, 0], [batch, m * width]), first.shape),
      kernels.reshape(kernels.slice(flat, [0, m * width], [batch, n * width]), second.shape),
    ];
  });
}

/** What joinSequences put last: the `n` last rows of each of the batch. */
export function lastRows(tape: Tape, x: Tensor, batch: number, n: number): Tensor {
  const { kernels } = tape;
  const [rows, width] = x.shape as [number, number];
  const m = rows / batch - n;
  const flat = kernels.reshape(x, [batch, (m + n) * width]);
  return tape.record([x], kernels.reshape(kernels.slice(flat, [0, m * width], [batch, n * width]), [batch * n, width]), (dy) => {
    const zeros = kernels.constant(new Float32Array(batch * m * width), [batch, m * width]);
    return [kernels.reshape(kernels.concat([zeros, kernels.reshape(dy, [batch, n * width])], 1), x.shape)];
  });
}

/** Puts parts side by side, `[rows, …]`; null stands for zeros of that width. */
function beside(tape: Tape, parts: readonly (Tensor | number)[]): Tensor {
  const { kernels } = tape;
  const given = parts.filter((part) => typeof part !== 'number');
  const rows = given[0]!.shape[0]!;
  const filled = parts.map((part) => (typeof part === 'number' ? kernels.constant(new Float32Array(rows * part), [rows, part]) : part));
  return tape.record(given, kernels.concat(filled, 1), (dy) => {
    let from = 0;
    return parts.flatMap((part) => {
      const width = typeof part === 'number' ? part : part.shape[1]!;
      from += width;
      return typeof part === 'number' ? [] : [kernels.slice(dy, [0, from - width], [rows, width])];
    });
  });
}

/**
 * Attention of `queries [batch * n, width]` to `keysValues [batch * m, 2 * width]` of another sequence: self-attention over both, in
 * which queries see the other's keys alone.
 */
export function crossAttention(tape: Tape, queries: Tensor, keysValues: Tensor, batch: number, heads: number): Tensor {
  const width = queries.shape[1]!;
  const [n, m] = [queries.shape[0]! / batch, keysValues.shape[0]! / batch];
  const packed = joinSequences(tape, beside(tape, [width, keysValues]), beside(tape, [queries, 2 * width]), batch);
  const tokens = m + n;
  const allowed = Uint8Array.from({ length: tokens * tokens }, (_, pair) => {
    const [i, j] = [Math.floor(pair / tokens), pair % tokens];
    return i < m ? Number(i === j) : Number(j < m);
  });
  return lastRows(tape, attention(tape, packed, { batch, tokens, heads, causal: false, mask: { allowed } }), batch, n);
}

/**
 * −log p of each row's target under softmax(`hidden [rows, width]` · `table [vocabulary, width]`ᵀ), `[rows, 1]`: the decoder's head is
 * the token embedding.
 */
export function tokenLosses(tape: Tape, hidden: Tensor, table: Tensor, targets: Tensor): Tensor {
  const { kernels } = tape;
  const logits = kernels.matMul(hidden, table, false, true);
  const max = kernels.max(logits, 1);
  const exponentials = kernels.exp(kernels.subtract(logits, max));
  const sum = kernels.sum(exponentials, 1);
  const right = kernels.gatherRows(table, targets);
  const picked = kernels.sum(kernels.multiply(hidden, right), 1);
  const output = kernels.subtract(kernels.add(kernels.log(sum), max), picked);
  return tape.record([hidden, table], output, (dy) => {
    const shares = kernels.multiply(kernels.divide(exponentials, sum), dy);
    const towardsHidden = kernels.subtract(kernels.matMul(shares, table), kernels.multiply(right, dy));
    const own = kernels.scatterRows(kernels.multiply(hidden, dy), targets, table.shape[0]!);
    return [towardsHidden, kernels.subtract(kernels.matMul(shares, hidden, true, false), own)];
  });
}

/** Σ of `values [rows, 1]`, each times its share `[rows, 1]`. */
export function weightedTotal(tape: Tape, values: Tensor, shares: Tensor): Tensor {
  const { kernels } = tape;
  return tape.record([values], kernels.total(kernels.multiply(values, shares)), (dy) => [kernels.multiply(shares, dy)]);
}
