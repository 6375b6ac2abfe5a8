import type { Tensor } from './kernels.ts';
import { add, addPositions, attention, dense, gatherRows, layerNorm, normalise, prependClass, quickGelu } from './layers.ts';
import type { ModelConfig, TowerSize } from './model-config.ts';
import { patchCount } from './model-config.ts';
import type { Tape } from './tape.ts';

/** A weight by its name in the parameter list. */
export type WeightOf = (name: string) => Tensor;

/** Pre-norm transformer blocks as in CLIP, over `x [batch * tokens, width]`. */
function transformer(
  tape: Tape,
  weight: WeightOf,
  tower: string,
  x: Tensor,
  { layers, heads }: TowerSize,
  shape: { batch: number; tokens: number; causal: boolean },
): Tensor {
  let h = x;
  for (let layer = 0; layer < layers; layer++) {
    const name = `${tower}.block${layer}`;
    const part = (suffix: string): Tensor => weight(`${name}.${suffix}`);
    const seen = layerNorm(tape, h, part('attention.norm.gain'), part('attention.norm.bias'));
    const packed = dense(tape, seen, part('attention.in.weight'), part('attention.in.bias'));
    const mixed = attention(tape, packed, { ...shape, heads });
    h = add(tape, h, dense(tape, mixed, part('attention.out.weight'), part('attention.out.bias')));
    const inner = layerNorm(tape, h, part('mlp.norm.gain'), part('mlp.norm.bias'));
    const hidden = quickGelu(tape, dense(tape, inner, part('mlp.in.weight'), part('mlp.in.bias')));
    h = add(tape, h, dense(tape, hidden, part('mlp.out.weight'), part('mlp.out.bias')));
  }
  return h;
}

/**
 * ViT image tower (Dosovitskiy et al., 2021, in CLIP's form): `patches [batch * patchCount, 3 * patch²]`, each patch
 * flattened channel by channel, to embeddings `[batch, embedding]` at unit length, read at the class token.
 */
export function embedImages(tape: Tape, weight: WeightOf, config: ModelConfig, patches: Tensor, batch: number): Tensor {
  const tokens = patchCount(config) + 1;
  let h = dense(tape, patches, weight('image.patch.weight'));
  h = prependClass(tape, h, weight('image.class'), batch);
  h = addPositions(tape, h, weight('image.positions'), batch);
  h = layerNorm(tape, h, weight('image.before.gain'), weight('image.before.bias'));
  h = transformer(tape, weight, 'image', h, config.image, { batch, tokens, causal: false });
  const rows = Int32Array.from({ length: batch }, (_, image) => image * tokens);
  const pooled = gatherRows(tape, h, tape.kernels.constant(rows, [batch]));
  const normed = layerNorm(tape, pooled, weight('image.after.gain'), weight('image.after.bias'));
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
): Tensor {
  const { context } = config.text;
  let h = gatherRows(tape, weight('text.embedding'), feeds.ids);
  h = addPositions(tape, h, weight('text.positions'), batch);
  h = transformer(tape, weight, 'text', h, config.text, { batch, tokens: context, causal: true });
  const pooled = gatherRows(tape, h, feeds.ends);
  const normed = layerNorm(tape, pooled, weight('text.after.gain'), weight('text.after.bias'));
  return normalise(tape, dense(tape, normed, weight('text.projection')));
}
