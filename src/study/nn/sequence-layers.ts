/** Layers for sequences that are read in part or in windows, and for rotary positions. */
import type { Kernels, Tensor } from './kernels.ts';
import type { Tape } from './tape.ts';

export function reshape(tape: Tape, x: Tensor, shape: readonly number[]): Tensor {
  const { kernels } = tape;
  return tape.record([x], kernels.reshape(x, shape), (dy) => [kernels.reshape(dy, x.shape)]);
}

/** Means of groups of `size` rows that follow each other, `x [groups * size, width]`, weighted by `shares [groups * size, 1]`: `[groups, width]`. */
export function weightedGroups(tape: Tape, x: Tensor, shares: Tensor, size: number): Tensor {
  const { kernels } = tape;
  const [rows, width] = x.shape as [number, number];
  const groups = rows / size;
  const weighted = kernels.reshape(kernels.multiply(x, shares), [groups, size, width]);
  const output = kernels.reshape(kernels.sum(weighted, 1), [groups, width]);
  return tape.record([x], output, (dy) => {
    const copies = kernels.reshape(kernels.concat(Array.from({ length: size }, () => dy), 1), [rows, width]);
    return [kernels.multiply(copies, shares)];
  });
}

/** Learned positions of a grid of patches halved along both sides: `[grid² + 1, width]` to `[(grid / 2)² + 1, width]`, means of 2 × 2. */
export function halvedPositions(tape: Tape, positions: Tensor, grid: number): Tensor {
  const half = grid / 2;
  const [from, to] = [grid * grid + 1, half * half + 1];
  const mean = new Float32Array(to * from);
  mean[0] = 1;
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      mean[(1 + (row >> 1) * half + (column >> 1)) * from + 1 + row * grid + column] = 1 / 4;
    }
  }
  const { kernels } = tape;
  const averaging = kernels.constant(mean, [to, from]);
  return tape.record([positions], kernels.matMul(averaging, positions), (dy) => [kernels.matMul(averaging, dy, true, false)]);
}

/**
 * Rotary positions (Su et al., 2021): turns each head's queries and keys in packed `[batch * tokens, 3 * width]` by angles that
 * grow with the token's place, so that their products depend on distances alone. Channel c of a head's first half forms a plane
 * with channel c of its second; its angle a token is 10000^(−2c / size).
 */
export function rotate(tape: Tape, packed: Tensor, { batch, tokens, heads }: { batch: number; tokens: number; heads: number }): Tensor {
  const { kernels } = tape;
  const width = packed.shape[1]! / 3;
  const size = width / heads;
  const { cosine, sine } = angles(kernels, tokens, heads, size);
  const rows = batch * tokens;
  const along = (x: Tensor, table: Tensor): Tensor =>
    kernels.reshape(kernels.multiply(kernels.reshape(x, [batch, tokens * 2 * width]), table), [rows, 2 * width]);
  /** (a, b) of each head to (−b, a), or back to (b, −a). */
  const turned = (x: Tensor, back: boolean): Tensor => {
    const flat = kernels.reshape(x, [rows * 2 * heads, size]);
    const first = kernels.slice(flat, [0, 0], [rows * 2 * heads, size / 2]);
    const second = kernels.slice(flat, [0, size / 2], [rows * 2 * heads, size / 2]);
    const halves = back ? [second, kernels.scale(first, -1)] : [kernels.scale(second, -1), first];
    return kernels.reshape(kernels.concat(halves, 1), [rows, 2 * width]);
  };
  const values = kernels.slice(packed, [0, 2 * width], [rows, width]);
  const both = kernels.slice(packed, [0, 0], [rows, 2 * width]);
  const moved = kernels.add(along(both, cosine), along(turned(both, false), sine));
  return tape.record([packed], kernels.concat([moved, values], 1), (dy) => {
    const d = kernels.slice(dy, [0, 0], [rows, 2 * width]);
    const back = kernels.add(along(d, cosine), turned(along(d, sine), true));
    return [kernels.concat([back, kernels.slice(dy, [0, 2 * width], [rows, width])], 1)];
  });
}

/** `[1, tokens * 2 * width]` each: for queries and then keys, every head alike. */
function angles(kernels: Kernels, tokens: number, heads: number, size: number): { cosine: Tensor; sine: Tensor } {
  const length = tokens * 2 * heads * size;
  const [cosine, sine] = [new Float32Array(length), new Float32Array(length)];
  for (let at = 0; at < length; at++) {
    const token = Math.floor(at / (2 * heads * size));
    const channel = at % (size / 2);
    const angle = token * 10000 ** ((-2 * channel) / size);
    cosine[at] = Math.cos(angle);
    sine[at] = Math.sin(angle);
  }
  return { cosine: kernels.constant(cosine, [1, length]), sine: kernels.constant(sine, [1, length]) };
}
