/** A batch of pairs as a step takes it: its parts, their shapes, and which tower reads which. */
import type { ImageFeeds, TextFeeds } from './clip.ts';
import type { FeedShape } from './compiled-step.ts';
import type { Tensor } from './kernels.ts';
import type { ModelConfig } from './model-config.ts';
import { partsOfBatch, patchesRead, rowPatch, textShape, wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';

/** One batch as the towers take it; the last three are there where the model and its reading need them. */
export interface Batch {
  /** `[batch * patches read, 3 * patch²]`, normalised. */
  readonly patches: Float32Array;
  /** `[sequences * tokens]` */
  readonly ids: Int32Array;
  /** `[sequences]`, the rows in `ids` that are read: of the end tokens, or under patterns that see both ways of the start tokens. */
  readonly ends: Int32Array;
  /** `[batch * patches read]`: places of the patches, from 1. */
  readonly places?: Int32Array;
  /** `[sequences * tokens]`: 0 for tokens, -1e9 for padding. */
  readonly padding?: Float32Array;
  /** `[sequences]`: each sequence's share in its caption's embedding. */
  readonly shares?: Float32Array;
  /** `[sequences * tokens]`: the token after each, and 1 where there is one. */
  readonly targets?: Int32Array;
  readonly counted?: Float32Array;
  /** `[sequences * tokens]`: ids with some hidden; then targets are what was there, and counted says where. */
  readonly masked?: Int32Array;
  /** `[batch * patches]`: 1 where a patch is hidden. */
  readonly hidden?: Float32Array;
  /** `[batch * experts]`: one where the pair has the expert's modality. */
  readonly route?: Float32Array;
}

export function batchFeeds(config: ModelConfig, batch: number, reading: Reading = wholeReading): Record<string, FeedShape> {
  const patches = patchesRead(config, reading.image);
  const { tokens, sequences } = textShape(config, reading.text);
  const parts = partsOfBatch(config, reading);
  const rows = batch * sequences;
  return {
    patches: { shape: [batch * patches, 3 * rowPatch(config) ** 2], dtype: 'float32' },
    ids: { shape: [rows * tokens], dtype: 'int32' },
    ends: { shape: [rows], dtype: 'int32' },
    ...(parts.places ? { places: { shape: [batch * patches], dtype: 'int32' } } : {}),
    ...(parts.padding ? { padding: { shape: [rows, tokens], dtype: 'float32' } } : {}),
    ...(parts.shares ? { shares: { shape: [rows, 1], dtype: 'float32' } } : {}),
    ...(parts.targets ? { targets: { shape: [rows * tokens], dtype: 'int32' }, counted: { shape: [rows * tokens, 1], dtype: 'float32' } } : {}),
    ...(parts.words ? { masked: { shape: [rows * tokens], dtype: 'int32' } } : {}),
    ...(parts.hidden ? { hidden: { shape: [batch * patches, 1], dtype: 'float32' } } : {}),
    ...(parts.route > 0 ? { route: { shape: [batch, parts.route], dtype: 'float32' } } : {}),
  };
}

export type Feeds = Readonly<Record<string, Tensor>>;
export const imageFeeds = (feeds: Feeds): ImageFeeds => ({ patches: feeds['patches']!, places: feeds['places'], route: feeds['route'] });
export const textFeeds = (feeds: Feeds): TextFeeds => ({
  ids: feeds['ids']!,
  ends: feeds['ends']!,
  padding: feeds['padding'],
  shares: feeds['shares'],
  route: feeds['route'],
});
