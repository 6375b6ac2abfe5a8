/** The state dict and `config.json` of Hugging Face's `CLIPModel` (transformers, models/clip/modeling_clip.py). */
import { endToken, startToken } from '../../text/vocabulary.ts';
import type { ModelConfig, TowerSize } from '../model-config.ts';
import { patchCount } from '../model-config.ts';
import { linear, norm, plain } from './entries.ts';
import type { LayoutEntry } from './layout.ts';

/** Lists of positions that older versions saved. */
export const huggingFaceIgnored = /\.position_ids$/;

function block(own: string, name: string, width: number): LayoutEntry[] {
  const each = (suffix: string, shape: readonly number[]) => ['q', 'k', 'v'].map((part) => ({ name: `${name}.self_attn.${part}_proj.${suffix}`, shape }));
  return [
    ...norm(`${own}.attention.norm`, `${name}.layer_norm1`, width),
    { parameter: `${own}.attention.in.weight`, parts: each('weight', [width, width]), transposed: true },
    { parameter: `${own}.attention.in.bias`, parts: each('bias', [width]), transposed: false },
    linear(`${own}.attention.out.weight`, `${name}.self_attn.out_proj.weight`, [width, width]),
    plain(`${own}.attention.out.bias`, `${name}.self_attn.out_proj.bias`, [width]),
    ...norm(`${own}.mlp.norm`, `${name}.layer_norm2`, width),
    linear(`${own}.mlp.in.weight`, `${name}.mlp.fc1.weight`, [4 * width, width]),
    plain(`${own}.mlp.in.bias`, `${name}.mlp.fc1.bias`, [4 * width]),
    linear(`${own}.mlp.out.weight`, `${name}.mlp.fc2.weight`, [width, 4 * width]),
    plain(`${own}.mlp.out.bias`, `${name}.mlp.fc2.bias`, [width]),
  ];
}

const blocks = (own: string, name: string, { width, layers }: TowerSize): LayoutEntry[] =>
  Array.from({ length: layers }, (_, layer) => block(`${own}.block${layer}`, `${name}.encoder.layers.${layer}`, width)).flat();

export function huggingFaceLayout(config: ModelConfig): LayoutEntry[] {
  const { image, text, embedding } = config;
  return [
    linear('image.patch.weight', 'vision_model.embeddings.patch_embedding.weight', [image.width, 3, image.patch, image.patch]),
    plain('image.class', 'vision_model.embeddings.class_embedding', [image.width]),
    plain('image.positions', 'vision_model.embeddings.position_embedding.weight', [patchCount(config) + 1, image.width]),
    // Spelt so in the original.
    ...norm('image.before', 'vision_model.pre_layrnorm', image.width),
    ...blocks('image', 'vision_model', image),
    ...norm('image.after', 'vision_model.post_layernorm', image.width),
    linear('image.projection', 'visual_projection.weight', [embedding, image.width]),
    plain('text.embedding', 'text_model.embeddings.token_embedding.weight', [text.vocabulary, text.width]),
    plain('text.positions', 'text_model.embeddings.position_embedding.weight', [text.context, text.width]),
    ...blocks('text', 'text_model', text),
    ...norm('text.after', 'text_model.final_layer_norm', text.width),
    linear('text.projection', 'text_projection.weight', [embedding, text.width]),
    plain('logit_scale', 'logit_scale', []),
  ];
}

/** What `CLIPModel.from_pretrained` needs beside the weights. Start and end are the last two ids, as in CLIP's own vocabulary. */
export function huggingFaceConfig({ image, text, embedding }: ModelConfig): unknown {
  const tower = ({ width, layers, heads }: TowerSize) => ({
    hidden_size: width,
    intermediate_size: 4 * width,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
    projection_dim: embedding,
  });
  const own = text.vocabulary === endToken + 1;
  return {
    architectures: ['CLIPModel'],
    model_type: 'clip',
    projection_dim: embedding,
    logit_scale_init_value: Math.log(1 / 0.07),
    text_config: {
      ...tower(text),
      model_type: 'clip_text_model',
      vocab_size: text.vocabulary,
      max_position_embeddings: text.context,
      bos_token_id: own ? startToken : text.vocabulary - 2,
      eos_token_id: own ? endToken : text.vocabulary - 1,
      pad_token_id: 0,
    },
    vision_config: { ...tower(image), model_type: 'clip_vision_model', image_size: image.resolution, patch_size: image.patch, num_channels: 3 },
  };
}
