import { randomOf } from '../data/random.ts';
import type { ReducibleTokens } from '../text/reducible.ts';
import { isRandom } from '../text/reduce.ts';
import { expertOf } from './adapter-config.ts';
import { pooledAtStart } from './attention-pattern.ts';
import { partsOfBatch, patchesRead, placesRead, readCaption, rowPatch, textShape, wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import type { Random } from '../data/random.ts';
import { hidePatches, hideWords } from './auxiliary.ts';
import { augmentImages, centreOf } from './augment.ts';
import type { Augment } from './augment.ts';
import type { ModelConfig } from './model-config.ts';
import type { Batch } from './batch.ts';

/** Images by row, as raw bytes `[count, resolution, resolution, 3]`. */
export interface ImageSource {
  readonly count: number;
  readonly resolution: number;
  readonly channels: number;
  /** By channel, for values between 0 and 1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  read(indices: ArrayLike<number>, out: Uint8Array): void;
  /** What is known of each row. */
  readonly rows?: readonly { readonly modality: string }[];
}

/** Token ids by row, `[count, context]`, and how many of each row's are used. */
export interface TokenSource {
  readonly count: number;
  readonly context: number;
  readonly vocabulary: number;
  readonly ids: Int32Array;
  readonly lengths: Uint16Array;
  /** What reducers need, where there is any. */
  readonly reducible?: ReducibleTokens;
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

/** What a batch draws: how its images are augmented, and which parts of its pairs are read. */
export interface BatchDraws {
  readonly augment?: { readonly settings: Augment; readonly random: Random };
  /** For readings that draw, by row. */
  readonly random?: (row: number) => Random;
}

/** Fills one batch after another into the same arrays; what it gave before is overwritten. */
export function batchBuilder(
  config: ModelConfig,
  images: ImageSource,
  tokens: TokenSource,
  batch: number,
  reading: Reading = wholeReading,
): (rows: ArrayLike<number>, draws?: BatchDraws) => Batch {
  const { resolution } = config.image;
  const patch = rowPatch(config);
  const shape = textShape(config, reading.text);
  const sequences = batch * shape.sequences;
  const read = patchesRead(config, reading.image);
  const size = 3 * patch ** 2;
  const parts = partsOfBatch(config, reading);
  const atStart = config.text.attention !== undefined && pooledAtStart(config.text.attention);
  const given = images.resolution;
  if (given !== resolution && reading.fit === undefined) {
    throw new RangeError(`images of ${given} pixels where the model takes ${resolution}`);
  }
  const pixels = new Uint8Array(batch * given * given * 3);
  const all = parts.places ? new Float32Array(batch * resolution * resolution * 3) : null;
  const result = {
    patches: new Float32Array(batch * read * size),
    ids: new Int32Array(sequences * shape.tokens),
    ends: new Int32Array(sequences),
    ...(parts.places ? { places: new Int32Array(batch * read) } : {}),
    ...(parts.padding ? { padding: new Float32Array(sequences * shape.tokens) } : {}),
    ...(parts.shares ? { shares: new Float32Array(sequences) } : {}),
    ...(parts.targets ? { targets: new Int32Array(sequences * shape.tokens), counted: new Float32Array(sequences * shape.tokens) } : {}),
    ...(parts.words ? { masked: new Int32Array(sequences * shape.tokens) } : {}),
    ...(parts.hidden ? { hidden: new Float32Array(batch * read) } : {}),
    ...(parts.route > 0 ? { route: new Float32Array(batch * parts.route) } : {}),
  };
  const tables = normalisationTables(reading.normalisation ?? images);
  const fixed = (row: number): Random => randomOf('reading', row);

  const unused = randomOf('unused');
  const readLengths = new Int32Array(batch);
  const fillImages = (rows: ArrayLike<number>, { augment, random = fixed }: BatchDraws): void => {
    images.read(rows, pixels);
    const to = reading.fit === 'scale' ? resolution : given;
    const scaled =
      augment !== undefined ? augmentImages(pixels, batch, given, augment.settings, augment.random, to)
      : reading.centre !== undefined || to !== given ? centreOf(pixels, batch, given, reading.centre ?? 1, to)
      : pixels;
    const seen = to === resolution ? scaled : withoutEdge(scaled, batch, to, resolution);
    if (reading.image.kind === 'resize') {
      patchify(halved(seen, batch, resolution), batch, resolution / 2, patch, tables, result.patches);
      return;
    }
    patchify(seen, batch, resolution, patch, tables, all ?? result.patches);
    if (all === null) return;
    const count = all.length / batch / size;
    for (let image = 0; image < batch; image++) {
      placesRead(config, reading.image, random(rows[image]!))!.forEach((place, index) => {
        const from = (image * count + place) * size;
        result.patches.set(all.subarray(from, from + size), (image * read + index) * size);
        result.places![image * read + index] = place + 1;
      });
    }
  };
  const drawing = reading.text.kind === 'reduced' && isRandom(reading.text.reducer);
  const fillTexts = (rows: ArrayLike<number>, { random = fixed }: BatchDraws): void => {
    const draws = drawing ? random : (): Random => unused;
    result.ids.fill(0);
    result.padding?.fill(-1e9);
    result.shares?.fill(0);
    result.targets?.fill(0);
    result.counted?.fill(0);
    for (let index = 0; index < batch; index++) {
      let filled = 0;
      readCaption(tokens, rows[index]!, reading.text, shape.tokens, draws(rows[index]!), (sequence, own) => {
        const at = index * shape.sequences + sequence;
        result.ids.set(own, at * shape.tokens);
        readLengths[index] = own.length;
        result.ends[at] = at * shape.tokens + (atStart ? 0 : own.length - 1);
        result.padding?.fill(0, at * shape.tokens, at * shape.tokens + own.length);
        for (let place = 1; place < own.length; place++) result.targets?.fill(own[place]!, at * shape.tokens + place - 1, at * shape.tokens + place);
        result.counted?.fill(1, at * shape.tokens, at * shape.tokens + own.length - 1);
        filled++;
      });
      const from = index * shape.sequences;
      result.shares?.fill(1 / filled, from, from + filled);
      for (let sequence = filled; sequence < shape.sequences; sequence++) {
        // Nothing is read of an empty window, but attention must see something.
        result.ends[from + sequence] = (from + sequence) * shape.tokens;
        result.padding?.fill(0, (from + sequence) * shape.tokens, (from + sequence) * shape.tokens + 1);
      }
    }
  };
  /** What an auxiliary loss asks for takes the place of next tokens. */
  const hide = (rows: ArrayLike<number>, { random = fixed }: BatchDraws): void => {
    if (result.masked !== undefined && result.targets !== undefined && result.counted !== undefined) {
      result.masked.set(result.ids);
      result.targets.set(result.ids);
      result.counted.fill(0);
      for (let index = 0; index < batch; index++) {
        const from = index * shape.tokens;
        // Between start and end; an empty caption has nothing to hide but its end.
        const to = Math.max(from + 2, from + readLengths[index]! - 1);
        for (const { place, instead } of hideWords(config.auxiliary!.kind as 'mlm' | 'span', result.ids, from + 1, to, config.text.vocabulary, random(rows[index]!))) {
          result.masked[place] = instead;
          result.counted[place] = 1;
        }
      }
    }
    for (let index = 0; index < batch && result.hidden !== undefined; index++) result.hidden.set(hidePatches(read, random(rows[index]!)), index * read);
  };
  /** Modalities without an adapter of their own take the last. */
  const fillRoute = (rows: ArrayLike<number>): void => {
    if (result.route === undefined) return;
    const experts = config.adapter!.experts!;
    result.route.fill(0);
    for (let index = 0; index < batch; index++) {
      result.route[index * experts.length + expertOf(experts, images.rows?.[rows[index]!]?.modality ?? '')] = 1;
    }
  };
  return (rows, draws = {}) => {
    if (rows.length !== batch) throw new RangeError(`a batch of ${rows.length} rows where ${batch} are expected`);
    fillImages(rows, draws);
    fillTexts(rows, draws);
    hide(rows, draws);
    fillRoute(rows);
    return result;
  };
}

/** The upper left `[batch, to, to, 3]` of bytes `[batch, resolution, resolution, 3]`. */
function withoutEdge(pixels: Uint8Array, batch: number, resolution: number, to: number): Uint8Array {
  const out = new Uint8Array(batch * to * to * 3);
  for (let row = 0; row < batch * to; row++) {
    const from = (Math.floor(row / to) * resolution + (row % to)) * resolution * 3;
    out.set(pixels.subarray(from, from + to * 3), row * to * 3);
  }
  return out;
}

/** Bytes `[batch, resolution, resolution, 3]` at half the resolution: means of 2 × 2, rounded. */
function halved(pixels: Uint8Array, batch: number, resolution: number): Uint8Array {
  const half = resolution / 2;
  const out = new Uint8Array(batch * half * half * 3);
  let to = 0;
  for (let row = 0; row < batch * half; row++) {
    for (let column = 0; column < half; column++) {
      for (let channel = 0; channel < 3; channel++) {
        const from = (2 * row * resolution + 2 * column) * 3 + channel;
        const below = from + resolution * 3;
        out[to++] = (pixels[from]! + pixels[from + 3]! + pixels[below]! + pixels[below + 3]! + 2) >> 2;
      }
    }
  }
  return out;
}

/** (value / 255 - mean) / std of each byte, by channel. */
function normalisationTables({ mean, std }: Pick<ImageSource, 'mean' | 'std'>): readonly Float32Array[] {
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
