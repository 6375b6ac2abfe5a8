/**
 * A hash that changes little when an image is scaled, recompressed, brightened or stored in another format: the signs of the
 * low frequencies of its cosine transform (pHash, Zauner 2010), 16 × 16 of them instead of the usual 8 × 8, since radiographs
 * of one view are alike in their lowest frequencies.
 */
export const hashBits = 256;

const side = 64;
const kept = 16;

/** Rows of the cosine transform (type II): `[kept, side]`. */
const basis = Float64Array.from({ length: kept * side }, (_, at) => Math.cos((Math.PI * Math.floor(at / side) * (2 * (at % side) + 1)) / (2 * side)));

/** Pixels of a side that `perceptualHash` takes. */
export const hashSide = side;

/** Below this standard deviation (of 255) an image is flat: its frequencies are noise, and all flat images look alike. */
const flat = 3;

/**
 * @param grey `[64 × 64]` bytes, rows first: the whole image, squeezed into a square
 * @returns 64 hexadecimal digits, most significant bit first; null for an image that is flat
 */
export function perceptualHash(grey: Uint8Array): string | null {
  if (grey.length !== side * side) throw new RangeError(`a perceptual hash needs ${side} × ${side} pixels, not ${grey.length}`);
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  const variance = grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length;
  if (variance < flat ** 2) return null;
  const rows = new Float64Array(side * kept); // [side, kept]: each row transformed
  for (let y = 0; y < side; y += 1) {
    for (let u = 0; u < kept; u += 1) {
      let sum = 0;
      for (let x = 0; x < side; x += 1) sum += (grey[y * side + x] ?? 0) * (basis[u * side + x] ?? 0);
      rows[y * kept + u] = sum;
    }
  }
  const frequencies = new Float64Array(kept * kept);
  for (let v = 0; v < kept; v += 1) {
    for (let u = 0; u < kept; u += 1) {
      let sum = 0;
      for (let y = 0; y < side; y += 1) sum += (rows[y * kept + u] ?? 0) * (basis[v * side + y] ?? 0);
      frequencies[v * kept + u] = sum;
    }
  }
  const others = frequencies.slice(1).sort(); // without the mean, which says how bright the image is
  const median = others[others.length >> 1] ?? 0;
  let text = '';
  for (let at = 0; at < frequencies.length; at += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4; bit += 1) digit = digit * 2 + (at + bit > 0 && (frequencies[at + bit] ?? 0) > median ? 1 : 0);
    text += digit.toString(16);
  }
  return text;
}
