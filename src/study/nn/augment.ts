import type { Random } from '../data/random.ts';

export interface Augment {
  /** Smallest share of the area that a random crop keeps; 1 keeps the whole image. */
  readonly crop: number;
  /** Mirror half of the images left to right. Off by default: it swaps the sides that captions name. */
  readonly flip: boolean;
}

/**
 * Random resized crops (area between `crop` and 1, sides between 3:4 and 4:3) with bilinear sampling, and mirroring, of
 * bytes `[batch, resolution, resolution, 3]`; gives a new array `[batch, to, to, 3]`, of the same shape unless said.
 */
export function augmentImages(pixels: Uint8Array, batch: number, resolution: number, { crop, flip }: Augment, random: Random, to = resolution): Uint8Array {
  const out = new Uint8Array(batch * to * to * 3);
  for (let image = 0; image < batch; image++) {
    const area = random.between(crop, 1);
    const ratio = Math.exp(random.between(Math.log(3 / 4), Math.log(4 / 3)));
    const width = Math.min(1, Math.sqrt(area * ratio));
    const height = Math.min(1, Math.sqrt(area / ratio));
    const left = random.next() * (1 - width);
    const top = random.next() * (1 - height);
    const mirrored = flip && random.next() < 0.5;
    resample(pixels, out, image, resolution, to, { left, top, width, height, mirrored });
  }
  return out;
}

/** The central share `side` of both sides of each image, scaled to `[batch, to, to, 3]`. */
export function centreOf(pixels: Uint8Array, batch: number, resolution: number, side: number, to = resolution): Uint8Array {
  const out = new Uint8Array(batch * to * to * 3);
  const from = (1 - side) / 2;
  for (let image = 0; image < batch; image++) resample(pixels, out, image, resolution, to, { left: from, top: from, width: side, height: side, mirrored: false });
  return out;
}

/** Where along one axis each output pixel lies between two input pixels: their indices and the share of the second. */
function samplePoints(resolution: number, to: number, start: number, length: number): { first: Int32Array; second: Int32Array; share: Float64Array } {
  const last = resolution - 1;
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const share = new Float64Array(to);
  for (let index = 0; index < to; index++) {
    const place = Math.min(last, Math.max(0, (start + ((index + 0.5) / to) * length) * resolution - 0.5));
    first[index] = Math.floor(place);
    second[index] = Math.min(last, first[index]! + 1);
    share[index] = place - first[index]!;
  }
  return { first, second, share };
}

/** The window, in shares of the image, stretched to the whole image. The inner loop is plain arithmetic on tables: it runs for every byte. */
function resample(
  pixels: Uint8Array,
  out: Uint8Array,
  image: number,
  resolution: number,
  side: number,
  window: { left: number; top: number; width: number; height: number; mirrored: boolean },
): void {
  const base = image * resolution * resolution * 3;
  const rows = samplePoints(resolution, side, window.top, window.height);
  const columns = samplePoints(resolution, side, window.left, window.width);
  if (window.mirrored) for (const table of [columns.first, columns.second, columns.share]) table.reverse();
  let to = image * side * side * 3;
  for (let y = 0; y < side; y++) {
    const upper = base + rows.first[y]! * resolution * 3;
    const lower = base + rows.second[y]! * resolution * 3;
    const down = rows.share[y]!;
    for (let x = 0; x < side; x++) {
      const left = columns.first[x]! * 3;
      const right = columns.second[x]! * 3;
      const along = columns.share[x]!;
      for (let channel = 0; channel < 3; channel++) {
        const above = pixels[upper + left + channel]! * (1 - along) + pixels[upper + right + channel]! * along;
        const below = pixels[lower + left + channel]! * (1 - along) + pixels[lower + right + channel]! * along;
        out[to++] = above * (1 - down) + below * down + 0.5;
      }
    }
  }
}
