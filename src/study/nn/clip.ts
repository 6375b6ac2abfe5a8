import type { Tensor } from './kernels.ts';
import { add, addPositions, addVector, attention, dense, gatherRows, layerNorm, normalise, prependClass, quickGelu } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { patchCount } from './model-config.ts';
import { towerWeight } from './parameters.ts';
import { recomputed } from './tape.ts';
import type { Tape } from './tape.ts';

/** A weight by its name in the parameter list. */
export type WeightOf = (name: string) => Tensor;

export interface TowerOptions {
  /** Keep only what goes into each block, and compute its inside again for the gradient. */
  readonly checkpoint?: boolean;
}

/** Pre-norm transformer blocks as in CLIP, over `x [batch * tokens, width]`. */
function transformer(
  tape: Tape,
  weight: WeightOf,
  config: ModelConfig,
  tower: 'image' | 'text',
  x: Tensor,
  shape: { batch: number; tokens: number; causal: boolean; checkpoint?: boolean },
): Tensor {
  const { layers, heads } = config[tower];
  const block = (inner: Tape, layer: number, before: Tensor): Tensor => {
    const part = (suffix: string): Tensor => weight(towerWeight(config, tower, `block${layer}.${suffix}`));
    const seen = layerNorm(inner, before, part('attention.norm.gain'), part('attention.norm.bias'));
    const packed = dense(inner, seen, part('attention.in.weight'), part('attention.in.bias'));
    const mixed = attention(inner, packed, { ...shape, heads });
    const h = add(inner, before, dense(inner, mixed, part('attention.out.weight'), part('attention.out.bias')));
    const normed = layerNorm(inner, h, part('mlp.norm.gain'), part('mlp.norm.bias'));
    const hidden = quickGelu(inner, dense(inner, normed, part('mlp.in.weight'), part('mlp.in.bias')));
    return add(inner, h, dense(inner, hidden, part('mlp.out.weight'), part('mlp.out.bias')));
  };
  let h = x;
  for (let layer = 0; layer < layers; layer++) {
    h = shape.checkpoint === true ? recomputed(tape, h, (inner, before) => block(inner, layer, before)) : block(tape, layer, h);
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

/**
 * ViT image tower (Dosovitskiy et al., 2021, in CLIP's form): `patches [batch * patchCount, 3 * patch²]`, each patch
 * flattened channel by channel, to embeddings `[batch, embedding]` at unit length, read at the class token.
 */
export function embedImages(tape: Tape, weight: WeightOf, config: ModelConfig, patches: Tensor, batch: number, options: TowerOptions = {}): Tensor {
  const tokens = patchCount(config) + 1;
  let h = dense(tape, patches, weight('image.patch.weight'));
  h = prependClass(tape, h, weight('image.class'), batch);
  h = addPositions(tape, h, weight('image.positions'), batch);
  h = addModality(tape, weight, config, 'image', h);
  h = layerNorm(tape, h, weight('image.before.gain'), weight('image.before.bias'));
  h = transformer(tape, weight, config, 'image', h, { ...options, batch, tokens, causal: false });
  const rows = Int32Array.from({ length: batch }, (_, image) => image * tokens);
  const pooled = gatherRows(tape, h, tape.kernels.constant(rows, [batch]));
  const normed = lastNorm(tape, weight, config, 'image', pooled);
  return normalise(tape, dense(tape, normed, weight('image.projection')));
}

/**
 * CLIP's causal text transformer: `ids [batch * context]` to embeddings `[batch, embedding]` at unit length, read at the
 * end token, whose rows in `[batch * context]` are `ends [batch]`.
 */
export function embedTexts(
  tape: Tape,
  weight: WeightOf,
  config: ModelConfig,
  feeds: { readonly ids: Tensor; readonly ends: Tensor },
  batch: number,
  options: TowerOptions = {},
): Tensor {
  const { context } = config.text;
  let h = gatherRows(tape, weight('text.embedding'), feeds.ids);
  h = addPositions(tape, h, weight('text.positions'), batch);
  h = addModality(tape, weight, config, 'text', h);
  h = transformer(tape, weight, config, 'text', h, { ...options, batch, tokens: context, causal: true });
  const pooled = gatherRows(tape, h, feeds.ends);
  const normed = lastNorm(tape, weight, config, 'text', pooled);
  return normalise(tape, dense(tape, normed, weight('text.projection')));
}
