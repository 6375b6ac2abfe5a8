import type { Random } from '../data/random.ts';

export interface Augment {
  /** Smallest share of the area that a random crop keeps; 1 keeps the whole image. */
  readonly crop: number;
  /** Mirror half of the images left to right. Off by default: it swaps the sides that captions name. */
  readonly flip: boolean;
}

/**
 * Random resized crops (area between `crop` and 1, sides between 3:4 and 4:3) with bilinear sampling, and mirroring, of
 * bytes `[batch, resolution, resolution, 3]`; gives a new array of the same shape.
 */
export function augmentImages(pixels: Uint8Array, batch: number, resolution: number, { crop, flip }: Augment, random: Random): Uint8Array {
  const out = new Uint8Array(pixels.length);
  for (let image = 0; image < batch; image++) {
    const area = random.between(crop, 1);
    const ratio = Math.exp(random.between(Math.log(3 / 4), Math.log(4 / 3)));
    const width = Math.min(1, Math.sqrt(area * ratio));
    const height = Math.min(1, Math.sqrt(area / ratio));
    const left = random.next() * (1 - width);
    const top = random.next() * (1 - height);
    const mirrored = flip && random.next() < 0.5;
    resample(pixels, out, image * resolution * resolution * 3, resolution, { left, top, width, height, mirrored });
  }
  return out;
}

/** The window, in shares of the image, stretched to the whole image. */
function resample(
  pixels: Uint8Array,
  out: Uint8Array,
  base: number,
  resolution: number,
  window: { left: number; top: number; width: number; height: number; mirrored: boolean },
): void {
  const last = resolution - 1;
  const place = (index: number, start: number, length: number): number =>
    Math.min(last, Math.max(0, (start + ((index + 0.5) / resolution) * length) * resolution - 0.5));
  for (let y = 0; y < resolution; y++) {
    const sourceY = place(y, window.top, window.height);
    const y0 = Math.floor(sourceY);
    const y1 = Math.min(last, y0 + 1);
    const fy = sourceY - y0;
    for (let x = 0; x < resolution; x++) {
      const sourceX = place(window.mirrored ? last - x : x, window.left, window.width);
      const x0 = Math.floor(sourceX);
      const x1 = Math.min(last, x0 + 1);
      const fx = sourceX - x0;
      for (let channel = 0; channel < 3; channel++) {
        const at = (row: number, column: number): number => pixels[base + (row * resolution + column) * 3 + channel]!;
        const upper = at(y0, x0) * (1 - fx) + at(y0, x1) * fx;
        const lower = at(y1, x0) * (1 - fx) + at(y1, x1) * fx;
        out[base + (y * resolution + x) * 3 + channel] = Math.round(upper * (1 - fy) + lower * fy);
      }
    }
  }
}
