import { adapted, withLora } from './adapters.ts';
import type { AttentionShape, Tensor } from './kernels.ts';
import { add, attention, dense, layerNorm, quickGelu } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { towerWeight } from './parameters.ts';
import { rotate } from './sequence-layers.ts';
import { recomputed } from './tape.ts';
import type { Tape } from './tape.ts';

/** A weight by its name in the parameter list. */
export type WeightOf = (name: string) => Tensor;

/** Pre-norm transformer blocks as in CLIP, over `x [batch * tokens, width]`. */
export function transformer(
  tape: Tape,
  weight: WeightOf,
  config: ModelConfig,
  tower: 'image' | 'text',
  x: Tensor,
  shape: Pick<AttentionShape, 'batch' | 'tokens' | 'causal' | 'mask' | 'keyBias'> & { checkpoint?: boolean; route?: Tensor | undefined },
): Tensor {
  const { checkpoint, route: choice, ...which } = shape;
  const route = { choice, batch: shape.batch, tokens: shape.tokens };
  const { layers, heads } = config[tower];
  const block = (inner: Tape, layer: number, before: Tensor): Tensor => {
    const part = (suffix: string): Tensor => weight(towerWeight(config, tower, `block${layer}.${suffix}`));
    const seen = layerNorm(inner, before, part('attention.norm.gain'), part('attention.norm.bias'));
    const projected = withLora(inner, part, config, seen, dense(inner, seen, part('attention.in.weight'), part('attention.in.bias')));
    const rotary = tower === 'text' && config.text.positions === 'rotary';
    const packed = rotary ? rotate(inner, projected, { ...which, heads }) : projected;
    const mixed = attention(inner, packed, { ...which, heads });
    const out = dense(inner, mixed, part('attention.out.weight'), part('attention.out.bias'));
    const h = add(inner, before, adapted(inner, part, config, 'attention', out, route));
    const normed = layerNorm(inner, h, part('mlp.norm.gain'), part('mlp.norm.bias'));
    const hidden = quickGelu(inner, dense(inner, normed, part('mlp.in.weight'), part('mlp.in.bias')));
    return add(inner, h, adapted(inner, part, config, 'mlp', dense(inner, hidden, part('mlp.out.weight'), part('mlp.out.bias')), route));
  };
  let h = x;
  for (let layer = 0; layer < layers; layer++) {
    h = checkpoint === true ? recomputed(tape, h, (inner, before) => block(inner, layer, before)) : block(tape, layer, h);
  }
  return h;
}
