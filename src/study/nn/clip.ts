import { attentionMask, pooledAtStart } from './attention-pattern.ts';
import { withHidden } from './auxiliary.ts';
import { adaptedEmbedding } from './adapters.ts';
import type { AttentionShape, Tensor } from './kernels.ts';
import { add, addPositions, addVector, dense, gatherRows, layerNorm, normalise, prependClass } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { towerWeight } from './parameters.ts';
import { type ImageReading, patchesRead, type Reading, textShape, wholeReading } from './reading.ts';
import { halvedPositions, reshape, weightedGroups } from './sequence-layers.ts';
import { embedByResNet } from './resnet.ts';
import type { BatchStatistics } from './resnet-layers.ts';
import type { Tape } from './tape.ts';
import { transformer } from './transformer.ts';
import type { WeightOf } from './transformer.ts';

export interface TowerOptions {
  /** Keep only what goes into each block, and compute its inside again for the gradient. */
  readonly checkpoint?: boolean;
  /** How much is read; left out: everything. */
  readonly reading?: Reading;
  /** For a ResNet in training: where the batch's statistics go. */
  readonly statistics?: BatchStatistics | null;
}

/** What the image tower takes: patches, and the places of those that are read where not all of them are. */
export interface ImageFeeds {
  readonly patches: Tensor;
  readonly places?: Tensor | undefined;
  /** 1 where a patch is hidden, `[batch * patches, 1]`; a learned vector takes its place. */
  readonly hidden?: Tensor | undefined;
  /** One-hot modality of each pair, `[batch, experts]`, where adapters are routed by it. */
  readonly route?: Tensor | undefined;
}

/** What the text tower takes; see Batch. */
export interface TextFeeds {
  readonly ids: Tensor;
  readonly ends: Tensor;
  readonly padding?: Tensor | undefined;
  readonly shares?: Tensor | undefined;
  readonly route?: Tensor | undefined;
}

/** Where blocks are shared whole, the model is told which modality a token belongs to. */
function addModality(tape: Tape, weight: WeightOf, config: ModelConfig, tower: 'image' | 'text', x: Tensor): Tensor {
  return config.sharing === 'all' ? addVector(tape, x, weight(`${tower}.modality`)) : x;
}

/** The norm after the last block, over rows `[rows, width]`. */
export function lastNorm(tape: Tape, weight: WeightOf, config: ModelConfig, tower: 'image' | 'text', x: Tensor): Tensor {
  const part = (suffix: string): Tensor => weight(towerWeight(config, tower, `after.${suffix}`));
  return layerNorm(tape, x, part('gain'), part('bias'));
}

/** Patches with their places: all of them, those of `places`, or a smaller image's, whose places lie between the learned ones. */
function placed(tape: Tape, weight: WeightOf, config: ModelConfig, { patches, places, hidden }: ImageFeeds, batch: number, reading: ImageReading): Tensor {
  const positions = weight('image.positions');
  const plain = dense(tape, patches, weight('image.patch.weight'));
  const embedded = hidden === undefined ? plain : withHidden(tape, plain, hidden, weight('image.hidden'));
  if (places === undefined) {
    const grid = config.image.resolution / config.image.patch;
    const table = reading.kind === 'resize' ? halvedPositions(tape, positions, grid) : positions;
    return addPositions(tape, prependClass(tape, embedded, weight('image.class'), batch), table, batch);
  }
  const { width } = config.image;
  const first = reshape(tape, gatherRows(tape, positions, tape.kernels.constant(Int32Array.of(0), [1])), [width]);
  const moved = add(tape, embedded, gatherRows(tape, positions, places));
  return prependClass(tape, moved, add(tape, weight('image.class'), first), batch);
}

/** Tokens of the image tower after its last block, before the last norm: `[batch * (patches + 1), width]`, the class token first. */
export function imageTokens(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: ImageFeeds, batch: number, options: TowerOptions = {}): Tensor {
  const { checkpoint, reading = wholeReading } = options;
  const tokens = patchesRead(config, reading.image) + 1;
  let h = placed(tape, weight, config, feeds, batch, reading.image);
  h = addModality(tape, weight, config, 'image', h);
  h = layerNorm(tape, h, weight('image.before.gain'), weight('image.before.bias'));
  return transformer(tape, weight, config, 'image', h, { checkpoint: checkpoint === true, batch, tokens, causal: false, route: feeds.route });
}

/** The image's embedding `[batch, embedding]` at unit length out of its tokens: the class token, normed and projected. */
export function imageEmbedding(tape: Tape, weight: WeightOf, config: ModelConfig, tokens: Tensor, batch: number): Tensor {
  const each = tokens.shape[0]! / batch;
  const rows = Int32Array.from({ length: batch }, (_, image) => image * each);
  const pooled = gatherRows(tape, tokens, tape.kernels.constant(rows, [batch]));
  const normed = lastNorm(tape, weight, config, 'image', pooled);
  return normalise(tape, adaptedEmbedding(tape, weight, config, dense(tape, normed, weight('image.projection'))));
}

/**
 * ViT image tower (Dosovitskiy et al., 2021, in CLIP's form): `patches [batch * patches, 3 * patch²]`, each patch
 * flattened channel by channel, to embeddings `[batch, embedding]` at unit length, read at the class token. Where not all patches are
 * read, `places [batch * patches]` are their places from 1; they get their positions before the others are left out. A ResNet takes
 * `patches` of one pixel.
 */
export function embedImages(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: ImageFeeds, batch: number, options: TowerOptions = {}): Tensor {
  if (config.image.resnet !== undefined) return embedByResNet(tape, weight, config, feeds.patches, batch, options.statistics ?? null);
  return imageEmbedding(tape, weight, config, imageTokens(tape, weight, config, feeds, batch, options), batch);
}

/** What the text tower's attention allows. `padding [sequences, tokens]` hides what is no token from tokens that look ahead. */
export function textAttention({ text }: ModelConfig, tokens: number, padding: Tensor | undefined): Pick<AttentionShape, 'causal' | 'mask' | 'keyBias'> {
  const { attention: pattern } = text;
  if (pattern === undefined) return { causal: true };
  const fitted = pattern.kind === 'prefix' ? { ...pattern, length: Math.min(pattern.length, tokens) } : pattern;
  const globals = pooledAtStart(pattern) && pattern.global !== false ? [0] : [];
  const mask = fitted.kind === 'bidirectional' ? {} : { mask: { allowed: attentionMask(fitted, tokens, globals).allowed } };
  return { causal: false, ...mask, ...(padding === undefined ? {} : { keyBias: padding }) };
}

/** Token embeddings with their positions, `[rows * tokens, width]`. */
export function placedTokens(tape: Tape, weight: WeightOf, config: ModelConfig, ids: Tensor, rows: number, tokens: number): Tensor {
  const embedded = gatherRows(tape, weight('text.embedding'), ids);
  const h = config.text.positions === 'rotary' ? embedded : addPositions(tape, embedded, firstPositions(tape, weight('text.positions'), tokens), rows);
  return addModality(tape, weight, config, 'text', h);
}

/** Tokens of the text tower after its last block, before the last norm: `[sequences * tokens, width]`. */
export function textTokens(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: TextFeeds, batch: number, options: TowerOptions = {}): Tensor {
  const { checkpoint, reading = wholeReading } = options;
  const { tokens, sequences } = textShape(config, reading.text);
  const rows = batch * sequences;
  const h = placedTokens(tape, weight, config, feeds.ids, rows, tokens);
  const which = textAttention(config, tokens, feeds.padding);
  return transformer(tape, weight, config, 'text', h, { checkpoint: checkpoint === true, batch: rows, tokens, ...which, route: feeds.route });
}

/** Embeddings `[sequences, embedding]` at unit length out of the text tower's tokens. */
export function textEmbedding(tape: Tape, weight: WeightOf, config: ModelConfig, tokens: Tensor, ends: Tensor): Tensor {
  const normed = lastNorm(tape, weight, config, 'text', gatherRows(tape, tokens, ends));
  return normalise(tape, dense(tape, normed, weight('text.projection')));
}

/**
 * CLIP's text transformer: `ids [sequences * tokens]` to embeddings `[batch, embedding]` at unit length, read at the token whose
 * rows in `[sequences * tokens]` are `ends [sequences]`. Where captions are read in windows, each has several sequences, and its
 * embedding is the mean of theirs by `shares [sequences, 1]`, at unit length again.
 */
export function embedTexts(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: TextFeeds, batch: number, options: TowerOptions = {}): Tensor {
  const embedded = textEmbedding(tape, weight, config, textTokens(tape, weight, config, feeds, batch, options), feeds.ends);
  if (feeds.shares === undefined) return embedded;
  const { sequences } = textShape(config, (options.reading ?? wholeReading).text);
  return normalise(tape, weightedGroups(tape, embedded, feeds.shares, sequences));
}

const firstPositions = (tape: Tape, positions: Tensor, tokens: number): Tensor =>
  tokens === positions.shape[0]
    ? positions
    : gatherRows(tape, positions, tape.kernels.constant(Int32Array.from({ length: tokens }, (_, place) => place), [tokens]));
