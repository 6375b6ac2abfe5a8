import { randomOf } from '../data/random.ts';
import type { Random } from '../data/random.ts';
import { augmentImages } from './augment.ts';
import type { Augment } from './augment.ts';
import type { ModelConfig } from './model-config.ts';
import type { Batch } from './train-step.ts';

/** Images by row, as raw bytes `[count, resolution, resolution, 3]`. */
export interface ImageSource {
  readonly count: number;
  readonly resolution: number;
  readonly channels: number;
  /** By channel, for values between 0 and 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  read(indices: ArrayLike<number>, out: Uint8Array): void;
}

/** Token ids by row, `[count, context]`, and how many of each row's are used. */
export interface TokenSource {
  readonly count: number;
  readonly context: number;
  readonly vocabulary: number;
  readonly ids: Int32Array;
  readonly lengths: Uint16Array;
}

/** 0 … count-1 in random order (Fisher and Yates). */
export function permutation(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let index = count - 1; index > 0; index--) {
    const other = random.below(index + 1);
    const value = order[index]!;
    order[index] = order[other]!;
    order[other] = value;
  }
  return order;
}

/**
 * Which of `rows` step `step` (from 1) trains on: each epoch is a new order drawn from (seed, epoch), and a batch may
 * reach over the end of one. A function of the step alone, so that a resumed run sees what an unbroken one sees.
 */
export function batchOrder(rows: ArrayLike<number>, batch: number, seed: number): (step: number) => Uint32Array {
  let known: { epoch: number; order: Uint32Array } | null = null;
  const orderOf = (epoch: number): Uint32Array => {
    if (known?.epoch !== epoch) known = { epoch, order: permutation(rows.length, randomOf(seed, 'epoch', epoch)) };
    return known.order;
  };
  return (step) => {
    const from = (step - 1) * batch;
    return Uint32Array.from({ length: batch }, (_, index) => {
      const position = from + index;
      const order = orderOf(Math.floor(position / rows.length));
      return rows[order[position % rows.length]!]!;
    });
  };
}

/** Fills one batch after another into the same arrays; what it gave before is overwritten. */
export function batchBuilder(
  config: ModelConfig,
  images: ImageSource,
  tokens: TokenSource,
  batch: number,
): (rows: ArrayLike<number>, augment?: { readonly settings: Augment; readonly random: Random }) => Batch {
  const { resolution, patch } = config.image;
  const { context } = config.text;
  const pixels = new Uint8Array(batch * resolution * resolution * 3);
  const result = {
    patches: new Float32Array(pixels.length),
    ids: new Int32Array(batch * context),
    ends: new Int32Array(batch),
  };
  const tables = normalisationTables(images);
  return (rows, augment) => {
    if (rows.length !== batch) throw new RangeError(`a batch of ${rows.length} rows where ${batch} are expected`);
    images.read(rows, pixels);
    const seen = augment === undefined ? pixels : augmentImages(pixels, batch, resolution, augment.settings, augment.random);
    patchify(seen, batch, resolution, patch, tables, result.patches);
    for (let index = 0; index < batch; index++) {
      const row = rows[index]!;
      result.ids.set(tokens.ids.subarray(row * context, (row + 1) * context), index * context);
      result.ends[index] = index * context + tokens.lengths[row]! - 1;
    }
    return result;
  };
}

/** (value / 255 - mean) / std of each byte, by channel. */
function normalisationTables({ mean, std }: ImageSource): readonly Float32Array[] {
  return [0, 1, 2].map((channel) =>
    Float32Array.from({ length: 256 }, (_, value) => (value / 255 - mean[channel]!) / std[channel]!),
  );
}

/** Bytes `[batch, resolution, resolution, 3]` to `[batch * patches, 3 * patch²]`, each patch channel by channel. */
function patchify(
  pixels: Uint8Array,
  batch: number,
  resolution: number,
  patch: number,
  tables: readonly Float32Array[],
  out: Float32Array,
): void {
  const grid = resolution / patch;
  let to = 0;
  for (let image = 0; image < batch; image++) {
    for (let row = 0; row < grid; row++) {
      for (let column = 0; column < grid; column++) {
        for (let channel = 0; channel < 3; channel++) {
          const table = tables[channel]!;
          for (let y = 0; y < patch; y++) {
            let from = ((image * resolution + row * patch + y) * resolution + column * patch) * 3 + channel;
            for (let x = 0; x < patch; x++, from += 3) out[to++] = table[pixels[from]!]!;
          }
        }
      }
    }
  }
}
