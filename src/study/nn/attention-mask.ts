import type { PairMask, AttentionShape } from './kernels.ts';

/** Keys `from` up to but not including `to`. */
export type KeyRange = readonly [from: number, to: number];

/** Queries that are worked on together, and the keys that any of them sees. */
export interface QueryChunk {
  readonly from: number;
  readonly to: number;
  readonly keys: readonly KeyRange[];
  /** Added to the chunk's scores, `[to - from, keys]`: the pattern's bias, and -1e9 where a pair is not allowed. Null: nothing. */
  readonly bias: Float32Array | null;
}

/** What a softmax turns into exactly 0. */
const hidden = -1e9;

/** Runs of unseen keys shorter than this are computed and masked: cutting them out costs more than it saves. */
const smallestGap = 16;

export const isAllowed = ({ tokens, causal, mask }: AttentionShape, query: number, key: number): boolean =>
  (!causal || key <= query) && (mask?.allowed === undefined || mask.allowed[query * tokens + key] !== 0);

/** The keys that each query sees, as ranges. @throws TypeError for a pattern of another size, or a query that sees nothing. */
export function keyRanges(shape: AttentionShape): readonly (readonly KeyRange[])[] {
  const { tokens, causal, mask } = shape;
  for (const [name, values] of Object.entries({ allowed: mask?.allowed, bias: mask?.bias })) {
    if (values !== undefined && values.length !== tokens * tokens) {
      throw new TypeError(`the attention mask's ${name} has ${values.length} values; ${tokens} tokens need ${tokens} × ${tokens}`);
    }
  }
  return Array.from({ length: tokens }, (_, query) => {
    const end = causal ? query + 1 : tokens;
    if (mask?.allowed === undefined) return [[0, end] as const];
    const ranges: KeyRange[] = [];
    for (let key = 0; key < end; key++) {
      if (!isAllowed(shape, query, key)) continue;
      const from = key;
      while (key + 1 < end && isAllowed(shape, query, key + 1)) key++;
      ranges.push([from, key + 1]);
    }
    if (ranges.length === 0) throw new TypeError(`the attention mask lets query ${query} see no key`);
    return ranges;
  });
}

/** Cuts the queries into chunks of `size`, each with the keys it needs. */
export function queryChunks(shape: AttentionShape, size: number): readonly QueryChunk[] {
  const { tokens, mask } = shape;
  const rows = keyRanges(shape);
  return Array.from({ length: Math.ceil(tokens / size) }, (_, index) => {
    const from = index * size;
    const to = Math.min(tokens, from + size);
    const seen = new Uint8Array(tokens);
    for (let query = from; query < to; query++) for (const [start, end] of rows[query]!) seen.fill(1, start, end);
    const keys = rangesOf(seen);
    const columns = keys.flatMap(([start, end]) => Array.from({ length: end - start }, (_, key) => start + key));
    const bias = new Float32Array((to - from) * columns.length);
    let any = false;
    let at = 0;
    for (let query = from; query < to; query++) {
      for (const key of columns) {
        const value = isAllowed(shape, query, key) ? (mask?.bias?.[query * tokens + key] ?? 0) : hidden;
        if (value !== 0) any = true;
        bias[at++] = value;
      }
    }
    return { from, to, keys, bias: any ? bias : null };
  });
}

function rangesOf(seen: Uint8Array): readonly KeyRange[] {
  const ranges: [number, number][] = [];
  seen.forEach((value, key) => {
    if (value === 0) return;
    const last = ranges.at(-1);
    if (last !== undefined && key - last[1] < smallestGap) last[1] = key + 1;
    else ranges.push([key, key + 1]);
  });
  return ranges;
}

/** From this many tokens on, the backward pass computes the probabilities anew unless told otherwise. */
const recomputeFrom = 128;
export const recomputes = ({ tokens, recompute }: AttentionShape): boolean => recompute ?? tokens >= recomputeFrom;
