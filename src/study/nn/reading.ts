/** How much of each caption and image the towers read: all of it, or a part chosen anew at each step. */
import { captionOf, type ReducibleTokens } from '../text/reducible.ts';
import { chunks, reduceTokens, type TextReducer } from '../text/reduce.ts';
import type { Random } from '../data/random.ts';
import type { ModelConfig } from './model-config.ts';
import { ModelConfigError, patchCount } from './model-config.ts';

export type TextReading =
  | { readonly kind: 'whole' }
  /** At most `tokens` tokens, start and end included, chosen by a reducer. */
  | { readonly kind: 'reduced'; readonly reducer: TextReducer; readonly tokens: number }
  /** The first characters (77 in PubMedCLIP's code), and of their tokens the first that fit. */
  | { readonly kind: 'characters'; readonly tokens: number }
  /** All of it, in windows of `tokens` tokens, start and end included, embedded each and averaged. */
  | { readonly kind: 'chunks'; readonly tokens: number };

export type ImageReading =
  | { readonly kind: 'whole' }
  /** Patches drawn without replacement, the same number for each image: `keep` of them, at least one (FLIP; Li et al., 2023). */
  | { readonly kind: 'random'; readonly keep: number }
  /** A contiguous square of patches at a drawn place, with about the share `keep` of them. */
  | { readonly kind: 'block'; readonly keep: number }
  /** One drawn patch of each 2 × 2 (CLIPA). */
  | { readonly kind: 'grid' }
  /** The image at half its resolution, a quarter of the patches (CLIPA). */
  | { readonly kind: 'resize' };

export interface Reading {
  readonly text: TextReading;
  readonly image: ImageReading;
  /** Mean and deviation that images are normalised by, in RGB; left out: those that the data say. */
  readonly normalisation?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** Share of both sides of images that are not augmented, from the centre; left out: all. */
  readonly centre?: number;
  /** Where patches do not fill the image: leave the edge unread, or scale the image to what they fill. Left out: that is an error. */
  readonly fit?: 'edge' | 'scale';
}

export const wholeReading: Reading = { text: { kind: 'whole' }, image: { kind: 'whole' } };

/** Token rows with what reducers need, where there is any. */
export interface ReadableTokens {
  readonly context: number;
  readonly ids: Int32Array;
  readonly lengths: Uint16Array;
  readonly start?: number;
  readonly end?: number;
  readonly pad?: number;
  readonly reducible?: ReducibleTokens;
}

/** Tokens of one sequence, and sequences of one caption. */
export function textShape(config: ModelConfig, { kind, ...reading }: TextReading): { readonly tokens: number; readonly sequences: number } {
  const { context } = config.text;
  const tokens = kind === 'whole' ? context : Math.min(context, (reading as { tokens: number }).tokens);
  return { tokens, sequences: kind === 'chunks' ? Math.max(1, Math.ceil((context - 2) / (tokens - 2))) : 1 };
}

/** Whether a model can be read so. @throws ModelConfigError where it cannot. */
export function checkReading(config: ModelConfig, { text, image }: Reading): void {
  const grid = config.image.resolution / config.image.patch;
  if (config.auxiliary !== undefined && (text.kind === 'chunks' || image.kind !== 'whole')) {
    throw new ModelConfigError(`${config.auxiliary.kind} hides a part of what is read, which is already in parts`, 'leave out chunks and image-…');
  }
  if (config.image.resnet !== undefined && image.kind !== 'whole') {
    throw new ModelConfigError(`image-${image.kind} leaves out patches, but ${config.name} has a ResNet, which has none`, 'leave it out, or take a size such as d64l3');
  }
  if (image.kind === 'resize' && grid % 2 !== 0) {
    throw new ModelConfigError(`image-resize halves the image, but it has ${grid} patches a side`, 'choose a patch of which an even number fit a side');
  }
  if (text.kind !== 'whole' && text.tokens > config.text.context) {
    throw new ModelConfigError(`a budget of ${text.tokens} tokens is more than the context of ${config.text.context}`, 'make tokens smaller');
  }
}

/** Which of a batch's optional parts a model and its reading need. */
export const partsOfBatch = (
  { text, adapter, decoder, auxiliary }: ModelConfig,
  reading: Reading,
): { readonly targets: boolean; readonly words: boolean; readonly hidden: boolean; readonly places: boolean; readonly padding: boolean; readonly shares: boolean; readonly route: number } => ({
  // Numbers of modalities that pairs are routed by; 0 where they are not.
  route: adapter?.routing === 'hard' ? adapter.experts!.length : 0,
  words: auxiliary?.kind === 'mlm' || auxiliary?.kind === 'span',
  hidden: auxiliary?.kind === 'mim',
  targets: decoder !== undefined || auxiliary?.kind === 'mlm' || auxiliary?.kind === 'span',
  places: reading.image.kind !== 'whole' && reading.image.kind !== 'resize',
  padding: text.attention !== undefined,
  shares: reading.text.kind === 'chunks',
});

/** Pixels of the side of what the image tower takes as one row. */
export const rowPatch = ({ image }: ModelConfig): number => (image.resnet === undefined ? image.patch : 1);

/** Patches along one side of the block that is kept. */
const blockSide = (grid: number, keep: number): number => Math.max(1, Math.min(grid, Math.round(Math.sqrt(keep) * grid)));

/** Patches that are read of each image. */
export function patchesRead(config: ModelConfig, reading: ImageReading): number {
  // A ResNet takes pixels.
  const all = config.image.resnet === undefined ? patchCount(config) : config.image.resolution ** 2;
  const grid = config.image.resolution / config.image.patch;
  switch (reading.kind) {
    case 'whole':
      return all;
    case 'random':
      return Math.max(1, Math.floor(all * reading.keep));
    case 'block':
      return blockSide(grid, reading.keep) ** 2;
    case 'grid':
    case 'resize':
      return Math.ceil(grid / 2) ** 2;
  }
}

/** Places of the patches that are read, ascending; null where all are, or where the image itself becomes smaller. */
export function placesRead(config: ModelConfig, reading: ImageReading, random: Random): Int32Array | null {
  const grid = config.image.resolution / config.image.patch;
  switch (reading.kind) {
    case 'whole':
    case 'resize':
      return null;
    case 'random': {
      const count = patchesRead(config, reading);
      const kept = new Int32Array(count);
      for (let at = 0, taken = 0; taken < count; at++) if (random.next() * (grid * grid - at) < count - taken) kept[taken++] = at;
      return kept;
    }
    case 'block': {
      const side = blockSide(grid, reading.keep);
      const [top, left] = [random.below(grid - side + 1), random.below(grid - side + 1)];
      return Int32Array.from({ length: side * side }, (_, i) => (top + Math.floor(i / side)) * grid + left + (i % side));
    }
    case 'grid': {
      const half = Math.ceil(grid / 2);
      const drawn = Int32Array.from({ length: half * half }, (_, i) => {
        const [row, column] = [2 * Math.floor(i / half), 2 * (i % half)];
        const [down, right] = [random.below(Math.min(2, grid - row)), random.below(Math.min(2, grid - column))];
        return (row + down) * grid + column + right;
      });
      return drawn.sort();
    }
  }
}

/** Fills sequence number `sequence` of a batch; the rest of its row is padding. Gives its length, start and end included. */
type Put = (sequence: number, tokens: ArrayLike<number>) => void;

/**
 * Reads one caption: calls `put` with the tokens, start and end included, of each of its sequences that is not empty.
 * @throws TypeError where the reading needs more than the token rows have.
 */
export function readCaption(source: ReadableTokens, row: number, reading: TextReading, tokens: number, random: Random, put: Put): void {
  const { context, ids } = source;
  const length = source.lengths[row]!;
  const own = ids.subarray(row * context, row * context + length);
  if (reading.kind === 'whole') return put(0, own);
  const [start, end] = [own[0]!, own[length - 1]!];
  const inner = own.subarray(1, length - 1);
  switch (reading.kind) {
    case 'chunks':
      chunks(inner.length, tokens - 2).forEach(([from, to], index) => put(index, [start, ...inner.subarray(from, to), end]));
      return;
    case 'characters': {
      const { first } = needed(source);
      const kept = Math.min(tokens - 2, first.lengths[row]! - 2);
      put(0, [start, ...first.ids.subarray(row * first.context + 1, row * first.context + 1 + kept), end]);
      return;
    }
    case 'reduced': {
      const { reducer } = reading;
      const plain = reducer.kind === 'truncate' || reducer.kind === 'random' || reducer.kind === 'block';
      const none = new Uint8Array(0);
      const caption = plain
        ? { length: inner.length, words: none, classes: none, sentences: none, frequencies: none }
        : captionOf(needed(source), row, context, length);
      const kept = reduceTokens(reducer, caption, tokens - 2, random);
      put(0, [start, ...Array.from(kept, (place) => inner[place]!), end]);
    }
  }
}

function needed({ reducible }: ReadableTokens): ReducibleTokens {
  if (reducible === undefined) {
    throw new TypeError('these tokens were cut without what this way of reading needs: set reducible: true of the stage tokenize');
  }
  return reducible;
}
