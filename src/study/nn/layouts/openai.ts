/** The state dict of OpenAI's CLIP (https://github.com/openai/CLIP, clip/model.py), ViT image towers. */
import type { ModelConfig } from '../model-config.ts';
import { patchCount } from '../model-config.ts';
import { linear, norm, plain } from './entries.ts';
import type { LayoutEntry } from './layout.ts';

/** In OpenAI's files beside the weights. */
export const openAiIgnored = /^(input_resolution|context_length|vocab_size)$/;


function block(own: string, name: string, width: number): LayoutEntry[] {
  return [
    ...norm(`${own}.attention.norm`, `${name}.ln_1`, width),
    linear(`${own}.attention.in.weight`, `${name}.attn.in_proj_weight`, [3 * width, width]),
    plain(`${own}.attention.in.bias`, `${name}.attn.in_proj_bias`, [3 * width]),
    linear(`${own}.attention.out.weight`, `${name}.attn.out_proj.weight`, [width, width]),
    plain(`${own}.attention.out.bias`, `${name}.attn.out_proj.bias`, [width]),
    ...norm(`${own}.mlp.norm`, `${name}.ln_2`, width),
    linear(`${own}.mlp.in.weight`, `${name}.mlp.c_fc.weight`, [4 * width, width]),
    plain(`${own}.mlp.in.bias`, `${name}.mlp.c_fc.bias`, [4 * width]),
    linear(`${own}.mlp.out.weight`, `${name}.mlp.c_proj.weight`, [width, 4 * width]),
    plain(`${own}.mlp.out.bias`, `${name}.mlp.c_proj.bias`, [width]),
  ];
}

const blocks = (own: string, name: string, width: number, layers: number): LayoutEntry[] =>
  Array.from({ length: layers }, (_, layer) => block(`${own}.block${layer}`, `${name}.resblocks.${layer}`, width)).flat();

/** The text tower and what both towers share: the same with every image tower. */
export const openAiText = ({ text, embedding }: ModelConfig): LayoutEntry[] => [
  plain('text.embedding', 'token_embedding.weight', [text.vocabulary, text.width]),
  plain('text.positions', 'positional_embedding', [text.context, text.width]),
  ...blocks('text', 'transformer', text.width, text.layers),
  ...norm('text.after', 'ln_final', text.width),
  plain('text.projection', 'text_projection', [text.width, embedding]),
  plain('logit_scale', 'logit_scale', []),
];

export function openAiLayout(config: ModelConfig): LayoutEntry[] {
  const { image, embedding } = config;
  return [
    linear('image.patch.weight', 'visual.conv1.weight', [image.width, 3, image.patch, image.patch]),
    plain('image.class', 'visual.class_embedding', [image.width]),
    plain('image.positions', 'visual.positional_embedding', [patchCount(config) + 1, image.width]),
    ...norm('image.before', 'visual.ln_pre', image.width),
    ...blocks('image', 'visual.transformer', image.width, image.layers),
    ...norm('image.after', 'visual.ln_post', image.width),
    plain('image.projection', 'visual.proj', [image.width, embedding]),
    ...openAiText(config),
  ];
}
