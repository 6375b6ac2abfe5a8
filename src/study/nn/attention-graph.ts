import { queryChunks, recomputes } from './attention-mask.ts';
import type { KeyRange, QueryChunk } from './attention-mask.ts';
import { attribute } from './graph-def.ts';
import type { GraphBuilder, GraphTensor } from './graph-builder.ts';
import type { AttentionResult, AttentionShape, Kernels, Tensor } from './kernels.ts';
import { elements } from './kernels.ts';

/** What attention is written with. */
type Operations = Pick<Kernels, 'add' | 'subtract' | 'multiply' | 'scale' | 'reshape' | 'slice' | 'concat' | 'constant' | 'after'> & {
  permute(x: Tensor, order: readonly number[]): Tensor;
  softmax(x: Tensor): Tensor;
  sumLast(x: Tensor): Tensor;
  /** Products of the last two axes of `[batch, heads, m, k]` and `[batch, heads, k, n]`. */
  products(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor;
};

/** Scores held at once, at most about this many numbers, and chunks of no fewer queries than this. */
const scoresHeld = 1 << 23;
const smallestChunk = 64;

/** Queries of a chunk: all of them for short contexts; shorter chunks where that bounds memory or skips pairs nobody sees. */
export function chunkSize({ batch, tokens, heads, causal, mask, chunk }: AttentionShape): number {
  if (chunk !== undefined) return Math.max(1, Math.min(chunk, tokens));
  const bounded = Math.floor(scoresHeld / (batch * heads * tokens));
  // Under a pattern the shortest chunks see the fewest keys; under a causal one of n chunks compute (n + 1) / 2n of all pairs, so
  // that few more than four gain little.
  const patterned = mask?.allowed !== undefined && tokens >= 2 * smallestChunk;
  const triangular = causal && tokens >= 3 * smallestChunk;
  const skips = patterned ? smallestChunk : triangular ? Math.max(smallestChunk, Math.ceil(tokens / 4)) : tokens;
  const size = Math.min(tokens, Math.max(smallestChunk, bounded), skips);
  // Chunks of equal size, as far as possible.
  return Math.ceil(tokens / Math.ceil(tokens / size));
}

/**
 * Attention as nodes of a graph. Scores exist for one chunk of queries at a time, and each chunk waits for the one before;
 * where the backward pass recomputes, nothing of size tokens² is kept between the two passes.
 */
export function graphAttention(graph: GraphBuilder, ops: Operations): Pick<Kernels, 'attention' | 'attentionGradient'> {
  const keysOf = (x: Tensor, { keys }: QueryChunk): Tensor => {
    const [batch, heads, tokens, size] = x.shape as [number, number, number, number];
    if (keys.length === 1 && keys[0]![0] === 0 && keys[0]![1] === tokens) return x;
    const parts = keys.map(([from, to]) => ops.slice(x, [0, 0, from, 0], [batch, heads, to - from, size]));
    return parts.length === 1 ? parts[0]! : ops.concat(parts, 2);
  };
  const queriesOf = (x: Tensor, { from, to }: QueryChunk): Tensor => {
    const [batch, heads, tokens, size] = x.shape as [number, number, number, number];
    return to - from === tokens ? x : ops.slice(x, [0, 0, from, 0], [batch, heads, to - from, size]);
  };
  const probabilities = (q: Tensor, k: Tensor, chunk: QueryChunk, shape: AttentionShape): Tensor => {
    let scores = ops.products(q, k, false, true);
    if (chunk.bias !== null) scores = ops.add(scores, ops.constant(chunk.bias, scores.shape.slice(2)));
    if (shape.keyBias !== undefined) {
      const bias = ops.reshape(shape.keyBias, [shape.batch, 1, shape.tokens, 1]);
      scores = ops.add(scores, ops.reshape(keysOf(bias, chunk), [shape.batch, 1, 1, scores.shape[3]!]));
    }
    return ops.softmax(scores);
  };
  /** `x [batch, heads, keys of these ranges, size]` put back among the first `reach` keys, zeros elsewhere. */
  const spread = (x: Tensor, keys: readonly KeyRange[], reach: number): Tensor => {
    const [batch, heads, , size] = x.shape as [number, number, number, number];
    if (keys.length === 1 && keys[0]![1] - keys[0]![0] === reach) return x;
    let offset = 0;
    return keys
      .map(([from, to]): Tensor => {
        const part = keys.length === 1 ? x : ops.slice(x, [0, 0, offset, 0], [batch, heads, to - from, size]);
        offset += to - from;
        return pad(graph, part, 2, from, reach - to);
      })
      .reduce((sum, part) => ops.add(sum, part));
  };
  /** What a chunk adds to a sum over keys. The sum reaches no further than the last key seen so far: under a causal mask it grows. */
  const summed = (sum: Tensor | undefined, x: Tensor, keys: readonly KeyRange[]): Tensor => {
    const reach = Math.max(sum?.shape[2] ?? 0, keys.at(-1)![1]);
    const part = spread(x, keys, reach);
    return sum === undefined ? part : ops.add(spread(sum, [[0, sum.shape[2]!]], reach), part);
  };

  return {
    attention(packed: Tensor, shape: AttentionShape): AttentionResult {
      const { batch, tokens, heads } = shape;
      const width = packed.shape[1]! / 3;
      const size = width / heads;
      const parts = ops.permute(ops.reshape(packed, [batch, tokens, 3, heads, size]), [2, 0, 3, 1, 4]);
      const [unscaled, k, v] = [0, 1, 2].map((part) =>
        ops.reshape(ops.slice(parts, [part, 0, 0, 0, 0], [1, batch, heads, tokens, size]), [batch, heads, tokens, size]),
      ) as [Tensor, Tensor, Tensor];
      const q = ops.scale(unscaled, 1 / Math.sqrt(size));
      const kept: Tensor[] = [];
      const mixed: Tensor[] = [];
      for (const chunk of queryChunks(shape, chunkSize(shape))) {
        const last = mixed.at(-1);
        const queries = last === undefined ? queriesOf(q, chunk) : ops.after(queriesOf(q, chunk), last);
        const p = probabilities(queries, keysOf(k, chunk), chunk, shape);
        if (!recomputes(shape)) kept.push(p);
        mixed.push(ops.products(p, keysOf(v, chunk), false, false));
      }
      const joined = mixed.length === 1 ? mixed[0]! : ops.concat(mixed, 2);
      const output = ops.reshape(ops.permute(joined, [0, 2, 1, 3]), [batch * tokens, width]);
      return { output, saved: [q, k, v, output, ...kept] };
    },

    attentionGradient(packed, [q, k, v, output, ...kept], dy, shape) {
      const { batch, tokens, heads } = shape;
      const width = packed.shape[1]! / 3;
      const size = width / heads;
      const byHead = (x: Tensor, length: number): Tensor => ops.permute(ops.reshape(x, [batch, tokens, heads, length]), [0, 2, 1, 3]);
      const d = byHead(dy, size);
      // Σ p·dp over the keys equals Σ y·dy over a head's channels, which is far smaller.
      const rows = ops.reshape(ops.multiply(dy, output!), [batch * tokens * heads, size]);
      const along = byHead(ops.sumLast(rows), 1);
      const dq: Tensor[] = [];
      let sums: { dk: Tensor; dv: Tensor } | undefined;
      for (const [index, chunk] of queryChunks(shape, chunkSize(shape)).entries()) {
        const queries = ops.after(queriesOf(q!, chunk), sums?.dk ?? dy);
        const [keys, values] = [keysOf(k!, chunk), keysOf(v!, chunk)];
        const p = kept[index] ?? probabilities(queries, keys, chunk, shape);
        const outputs = sums === undefined ? queriesOf(d, chunk) : ops.after(queriesOf(d, chunk), sums.dk);
        const dp = ops.products(outputs, values, false, true);
        const ds = ops.multiply(p, ops.subtract(dp, queriesOf(along, chunk)));
        dq.push(ops.products(ds, keys, false, false));
        const dk: Tensor = summed(sums?.dk, ops.products(ds, queries, true, false), chunk.keys);
        const dv: Tensor = summed(sums?.dv, ops.products(p, outputs, true, false), chunk.keys);
        sums = { dk, dv };
      }
      const queries = ops.scale(dq.length === 1 ? dq[0]! : ops.concat(dq, 2), 1 / Math.sqrt(size));
      const five = (x: Tensor): Tensor => ops.reshape(spread(x, [[0, x.shape[2]!]], tokens), [1, batch, heads, tokens, size]);
      const parts = ops.concat([five(queries), five(sums!.dk), five(sums!.dv)], 0);
      return ops.reshape(ops.permute(parts, [1, 3, 0, 2, 4]), [batch * tokens, 3 * width]);
    },
  };
}

/** Zeros before and after along one axis. */
function pad(graph: GraphBuilder, x: Tensor, axis: number, before: number, after: number): GraphTensor {
  const shape = x.shape.map((length, index) => (index === axis ? length + before + after : length));
  const amounts = new Int32Array(2 * shape.length);
  amounts.set([before, after], 2 * axis);
  const attributes = { T: attribute.type('float32'), Tpaddings: attribute.type('int32') };
  if (elements(shape) === elements(x.shape)) throw new RangeError('nothing to pad');
  return graph.operation('Pad', [x, graph.constant(amounts, [shape.length, 2])], attributes, shape);
}
