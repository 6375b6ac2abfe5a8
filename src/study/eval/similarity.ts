/** Similarities of many embeddings with many others, tile by tile, so that the whole matrix is never held. */

/** Images and texts, row i of one belonging to row i of the other, `[count, width]` each, of unit length. */
export interface EmbeddingPairs {
  readonly image: Float32Array;
  readonly text: Float32Array;
  readonly width: number;
}

/** Embeddings that cannot be compared. */
export class EmbeddingError extends Error {
  override readonly name = 'EmbeddingError';
}

/**
 * The number of pairs.
 * @throws EmbeddingError when the sizes disagree or a number is not finite (a model that diverged must not rank first).
 */
export function pairCount({ image, text, width }: EmbeddingPairs): number {
  if (!Number.isInteger(width) || width < 1) throw new EmbeddingError(`Width is ${width}; it must be a whole number from 1.`);
  if (image.length !== text.length || image.length % width !== 0) {
    throw new EmbeddingError(`${image.length} image and ${text.length} text numbers are not [count, ${width}] both.`);
  }
  for (const [name, values] of [
    ['image', image],
    ['text', text],
  ] as const) {
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw new EmbeddingError(`The ${name} embedding of row ${Math.floor(wrong / width)} holds ${values[wrong]}.`);
  }
  return image.length / width;
}

/** Rows of `values` in the order of `rows`, as doubles: products are then the same wherever they are computed. */
export function gatherRows(values: Float32Array, width: number, rows: ArrayLike<number>): Float64Array {
  const gathered = new Float64Array(rows.length * width);
  for (let i = 0; i < rows.length; i += 1) gathered.set(values.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
  return gathered;
}

/** The product of row i of `a` and row j of `b`, summed in the order that `eachTile` uses, so that both agree to the last bit. */
export function product(a: Float64Array, i: number, b: Float64Array, j: number, width: number): number {
  let sum = 0;
  for (let k = 0, p = i * width, q = j * width; k < width; k += 1) sum += a[p + k]! * b[q + k]!;
  return sum;
}

const tileRows = 64;
const tileColumns = 128;

/** Part of the matrix of products: `values[(i − top)·columns + (j − left)]` for rows from `top` and columns from `left`. */
export interface Tile {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
  /** Valid until the next tile. */
  readonly values: Float64Array;
}

/** Calls `visit` with each tile of `a·bᵀ` (`[n, width]` and `[m, width]`), top to bottom, left to right. */
export function eachTile(a: Float64Array, b: Float64Array, width: number, visit: (tile: Tile) => void): void {
  const n = a.length / width;
  const m = b.length / width;
  const values = new Float64Array(tileRows * tileColumns);
  for (let top = 0; top < n; top += tileRows) {
    const rows = Math.min(tileRows, n - top);
    for (let left = 0; left < m; left += tileColumns) {
      const columns = Math.min(tileColumns, m - left);
      multiply(a, b, width, top, left, rows, columns, values);
      visit({ top, left, rows, columns, values });
    }
  }
}

/** Two rows by four columns at a time: each number loaded is used several times, each sum keeps its own order. */
function multiply(
  a: Float64Array,
  b: Float64Array,
  width: number,
  top: number,
  left: number,
  rows: number,
  columns: number,
  out: Float64Array,
): void {
  const evenRows = rows - (rows % 2);
  const evenColumns = columns - (columns % 4);
  for (let i = 0; i < evenRows; i += 2) {
    const p0 = (top + i) * width;
    const p1 = p0 + width;
    for (let j = 0; j < evenColumns; j += 4) {
      const q0 = (left + j) * width;
      const q1 = q0 + width;
      const q2 = q1 + width;
      const q3 = q2 + width;
      let s00 = 0,
        s01 = 0,
        s02 = 0,
        s03 = 0,
        s10 = 0,
        s11 = 0,
        s12 = 0,
        s13 = 0;
      for (let k = 0; k < width; k += 1) {
        const a0 = a[p0 + k]!;
        const a1 = a[p1 + k]!;
        const b0 = b[q0 + k]!;
        const b1 = b[q1 + k]!;
        const b2 = b[q2 + k]!;
        const b3 = b[q3 + k]!;
        s00 += a0 * b0;
        s01 += a0 * b1;
        s02 += a0 * b2;
        s03 += a0 * b3;
        s10 += a1 * b0;
        s11 += a1 * b1;
        s12 += a1 * b2;
        s13 += a1 * b3;
      }
      const at = i * columns + j;
      out[at] = s00;
      out[at + 1] = s01;
      out[at + 2] = s02;
      out[at + 3] = s03;
      out[at + columns] = s10;
      out[at + columns + 1] = s11;
      out[at + columns + 2] = s12;
      out[at + columns + 3] = s13;
    }
  }
  for (let i = 0; i < rows; i += 1) {
    for (let j = i < evenRows ? evenColumns : 0; j < columns; j += 1)
      out[i * columns + j] = product(a, top + i, b, left + j, width);
  }
}
