/** The configuration of a model from another library, from its tensors' shapes and its `config.json`. */
import type { SafeTensor } from '../safetensors.ts';
import { checked } from '../model-config.ts';
import type { ModelConfig } from '../model-config.ts';
import type { LayoutName } from './layout.ts';
import { WeightsError } from './layout.ts';

type Tensors = ReadonlyMap<string, Pick<SafeTensor, 'shape'>>;

/** Which layout the names are of, or null. */
export function layoutOf(tensors: Tensors): LayoutName | null {
  if (tensors.has('visual.conv1.weight')) return 'openai';
  return tensors.has('vision_model.embeddings.patch_embedding.weight') ? 'huggingface' : null;
}

/** OpenAI's own rule for its models: a head for each 64 of the width. */
const headWidth = 64;

/** Names that the shapes of a ViT model's configuration are read from. */
const places = {
  openai: {
    patch: 'visual.conv1.weight',
    imagePositions: 'visual.positional_embedding',
    imageBlock: /^visual\.transformer\.resblocks\.(\d+)\./,
    embedding: 'token_embedding.weight',
    textPositions: 'positional_embedding',
    textBlock: /^transformer\.resblocks\.(\d+)\./,
    projection: ['text_projection', 1],
  },
  huggingface: {
    patch: 'vision_model.embeddings.patch_embedding.weight',
    imagePositions: 'vision_model.embeddings.position_embedding.weight',
    imageBlock: /^vision_model\.encoder\.layers\.(\d+)\./,
    embedding: 'text_model.embeddings.token_embedding.weight',
    textPositions: 'text_model.embeddings.position_embedding.weight',
    textBlock: /^text_model\.encoder\.layers\.(\d+)\./,
    projection: ['text_projection.weight', 0],
  },
} as const;

/** @throws WeightsError when a tensor that says how large the model is is missing or odd */
export function inferConfig(layout: LayoutName, name: string, tensors: Tensors, described: unknown): ModelConfig {
  const place = places[layout];
  const dimension = (tensor: string, axis: number): number => {
    const length = tensors.get(tensor)?.shape[axis];
    if (length === undefined) throw new WeightsError(`${tensor} is missing or has no axis ${axis}: the model's size cannot be told`, 'pipe weights info FILE shows what a file holds');
    return length;
  };
  const layers = (pattern: RegExp): number => 1 + [...tensors.keys()].reduce((most, tensor) => Math.max(most, Number(pattern.exec(tensor)?.[1] ?? -1)), -1);
  const width = { image: dimension(place.patch, 0), text: dimension(place.embedding, 1) };
  const heads = headsFrom(described);
  const patch = dimension(place.patch, 2);
  const side = Math.sqrt(dimension(place.imagePositions, 0) - 1);
  if (!Number.isInteger(side)) throw new WeightsError(`${place.imagePositions} is not of a square of patches and a class token`, 'only ViT image towers on square images can be read');
  return checked({
    name,
    image: { width: width.image, layers: layers(place.imageBlock), heads: heads?.image ?? Math.max(1, Math.floor(width.image / headWidth)), resolution: side * patch, patch },
    text: {
      width: width.text,
      layers: layers(place.textBlock),
      heads: heads?.text ?? Math.max(1, Math.floor(width.text / headWidth)),
      context: dimension(place.textPositions, 0),
      vocabulary: dimension(place.embedding, 0),
    },
    embedding: dimension(place.projection[0], place.projection[1]),
  });
}

type Described = Readonly<Record<string, unknown>>;
const part = (of: Described, name: string): Described => {
  const value = of[name];
  return typeof value === 'object' && value !== null ? (value as Described) : {};
};

/** Heads as `config.json` has them; null without that file. @throws WeightsError for what this program does not compute */
function headsFrom(described: unknown): { image: number; text: number } | null {
  if (typeof described !== 'object' || described === null) return null;
  const of = (tower: 'vision_config' | 'text_config', usual: number): number => {
    const config = part(described as Described, tower);
    // What config.json leaves out has the default of CLIPConfig.
    const activation = config['hidden_act'] ?? 'quick_gelu';
    if (activation !== 'quick_gelu') throw new WeightsError(`${tower}.hidden_act is ${String(activation)}; CLIP's towers here compute quick_gelu`, 'choose weights that were trained with quick_gelu, as all of OpenAI\'s were');
    const epsilon = config['layer_norm_eps'] ?? 1e-5;
    if (epsilon !== 1e-5) throw new WeightsError(`${tower}.layer_norm_eps is ${String(epsilon)}; it is 1e-5 here`, 'choose weights that were trained with 1e-5');
    return Number(config['num_attention_heads'] ?? usual);
  };
  return { image: of('vision_config', 12), text: of('text_config', 8) };
}
