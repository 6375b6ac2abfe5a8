import { attentionMask, pooledAtStart } from './attention-pattern.ts';
import type { AttentionShape, Tensor } from './kernels.ts';
import { add, addPositions, addVector, attention, dense, gatherRows, layerNorm, normalise, prependClass, quickGelu } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { towerWeight } from './parameters.ts';
import { type ImageReading, patchesRead, type Reading, textShape, wholeReading } from './reading.ts';
import { halvedPositions, reshape, rotate, weightedGroups } from './sequence-layers.ts';
import { recomputed } from './tape.ts';
import type { Tape } from './tape.ts';

/** A weight by its name in the parameter list. */
export type WeightOf = (name: string) => Tensor;

export interface TowerOptions {
  /** Keep only what goes into each block, and compute its inside again for the gradient. */
  readonly checkpoint?: boolean;
  /** How much is read; left out: everything. */
  readonly reading?: Reading;
}

/** What the image tower takes: patches, and the places of those that are read where not all of them are. */
export interface ImageFeeds {
  readonly patches: Tensor;
  readonly places?: Tensor | undefined;
}

/** What the text tower takes; see Batch. */
export interface TextFeeds {
  readonly ids: Tensor;
  readonly ends: Tensor;
  readonly padding?: Tensor | undefined;
  readonly shares?: Tensor | undefined;
}

/** Pre-norm transformer blocks as in CLIP, over `x [batch * tokens, width]`. */
function transformer(
  tape: Tape,
  weight: WeightOf,
  config: ModelConfig,
  tower: 'image' | 'text',
  x: Tensor,
  shape: Pick<AttentionShape, 'batch' | 'tokens' | 'causal' | 'mask' | 'keyBias'> & { checkpoint?: boolean },
): Tensor {
  const { checkpoint, ...which } = shape;
  const { layers, heads } = config[tower];
  const block = (inner: Tape, layer: number, before: Tensor): Tensor => {
    const part = (suffix: string): Tensor => weight(towerWeight(config, tower, `block${layer}.${suffix}`));
    const seen = layerNorm(inner, before, part('attention.norm.gain'), part('attention.norm.bias'));
    const projected = dense(inner, seen, part('attention.in.weight'), part('attention.in.bias'));
    const rotary = tower === 'text' && config.text.positions === 'rotary';
    const packed = rotary ? rotate(inner, projected, { ...which, heads }) : projected;
    const mixed = attention(inner, packed, { ...which, heads });
    const h = add(inner, before, dense(inner, mixed, part('attention.out.weight'), part('attention.out.bias')));
    const normed = layerNorm(inner, h, part('mlp.norm.gain'), part('mlp.norm.bias'));
    const hidden = quickGelu(inner, dense(inner, normed, part('mlp.in.weight'), part('mlp.in.bias')));
    return add(inner, h, dense(inner, hidden, part('mlp.out.weight'), part('mlp.out.bias')));
  };
  let h = x;
  for (let layer = 0; layer < layers; layer++) {
    h = checkpoint === true ? recomputed(tape, h, (inner, before) => block(inner, layer, before)) : block(tape, layer, h);
  }
  return h;
}

/** Where blocks are shared whole, the model is told which modality a token belongs to. */
function addModality(tape: Tape, weight: WeightOf, config: ModelConfig, tower: 'image' | 'text', x: Tensor): Tensor {
  return config.sharing === 'all' ? addVector(tape, x, weight(`${tower}.modality`)) : x;
}

/** The norm after the last block, over pooled `[batch, width]`. */
function lastNorm(tape: Tape, weight: WeightOf, config: ModelConfig, tower: 'image' | 'text', x: Tensor): Tensor {
  const part = (suffix: string): Tensor => weight(towerWeight(config, tower, `after.${suffix}`));
  return layerNorm(tape, x, part('gain'), part('bias'));
}

/** Patches with their places: all of them, those of `places`, or a smaller image's, whose places lie between the learned ones. */
function placed(tape: Tape, weight: WeightOf, config: ModelConfig, { patches, places }: ImageFeeds, batch: number, reading: ImageReading): Tensor {
  const positions = weight('image.positions');
  const embedded = dense(tape, patches, weight('image.patch.weight'));
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

/**
 * ViT image tower (Dosovitskiy et al., 2021, in CLIP's form): `patches [batch * patches, 3 * patch²]`, each patch
 * flattened channel by channel, to embeddings `[batch, embedding]` at unit length, read at the class token. Where not all patches are
 * read, `places [batch * patches]` are their places from 1; they get their positions before the others are left out.
 */
export function embedImages(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: ImageFeeds, batch: number, options: TowerOptions = {}): Tensor {
  const { checkpoint, reading = wholeReading } = options;
  const tokens = patchesRead(config, reading.image) + 1;
  let h = placed(tape, weight, config, feeds, batch, reading.image);
  h = addModality(tape, weight, config, 'image', h);
  h = layerNorm(tape, h, weight('image.before.gain'), weight('image.before.bias'));
  h = transformer(tape, weight, config, 'image', h, { checkpoint: checkpoint === true, batch, tokens, causal: false });
  const rows = Int32Array.from({ length: batch }, (_, image) => image * tokens);
  const pooled = gatherRows(tape, h, tape.kernels.constant(rows, [batch]));
  const normed = lastNorm(tape, weight, config, 'image', pooled);
  return normalise(tape, dense(tape, normed, weight('image.projection')));
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

/**
 * CLIP's text transformer: `ids [sequences * tokens]` to embeddings `[batch, embedding]` at unit length, read at the token whose
 * rows in `[sequences * tokens]` are `ends [sequences]`. Where captions are read in windows, each has several sequences, and its
 * embedding is the mean of theirs by `shares [sequences, 1]`, at unit length again.
 */
export function embedTexts(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: TextFeeds, batch: number, options: TowerOptions = {}): Tensor {
  const { checkpoint, reading = wholeReading } = options;
  const { tokens, sequences } = textShape(config, reading.text);
  const rows = batch * sequences;
  let h = gatherRows(tape, weight('text.embedding'), feeds.ids);
  if (config.text.positions !== 'rotary') h = addPositions(tape, h, firstPositions(tape, weight('text.positions'), tokens), rows);
  h = addModality(tape, weight, config, 'text', h);
  const which = textAttention(config, tokens, feeds.padding);
  h = transformer(tape, weight, config, 'text', h, { checkpoint: checkpoint === true, batch: rows, tokens, ...which });
  const pooled = gatherRows(tape, h, feeds.ends);
  const normed = lastNorm(tape, weight, config, 'text', pooled);
  const embedded = normalise(tape, dense(tape, normed, weight('text.projection')));
  return feeds.shares === undefined ? embedded : normalise(tape, weightedGroups(tape, embedded, feeds.shares, sequences));
}

const firstPositions = (tape: Tape, positions: Tensor, tokens: number): Tensor =>
  tokens === positions.shape[0]
    ? positions
    : gatherRows(tape, positions, tape.kernels.constant(Int32Array.from({ length: tokens }, (_, place) => place), [tokens]));
