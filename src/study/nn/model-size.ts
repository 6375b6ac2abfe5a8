import { elements } from './kernels.ts';
import type { ModelConfig, SizeOptions } from './model-config.ts';
import { checked, modelConfig, patchCount } from './model-config.ts';
import { parametersOf } from './parameters.ts';

export interface ModelSize {
  readonly parameters: number;
  /** Without the token embedding, whose share is half of a small model and whose lookups cost nothing. */
  readonly nonEmbedding: number;
  /** Multiply-accumulates of one forward pass of one image and one caption. Training costs 6 FLOP for each. */
  readonly macsPerPair: number;
}

/** FLOP that training spends on one pair for each multiply-accumulate of the forward pass: 2 forward, 4 backward. */
export const flopsPerMac = 6;

/** Multiply-accumulates of a transformer on `tokens` tokens: L (12 n d² + 2 n² d). */
const transformerMacs = (layers: number, width: number, tokens: number): number =>
  layers * (12 * tokens * width ** 2 + 2 * tokens ** 2 * width);

/** Multiply-accumulates of the image tower on one image: patches, transformer, projection. */
export function imageMacs({ image, embedding }: ModelConfig): number {
  const patches = (image.resolution / image.patch) ** 2;
  return (
    transformerMacs(image.layers, image.width, patches + 1) +
    3 * image.patch ** 2 * patches * image.width +
    image.width * embedding
  );
}

/** Multiply-accumulates of the text tower on one caption: transformer over the whole context, projection. */
export const textMacs = ({ text, embedding }: ModelConfig): number =>
  transformerMacs(text.layers, text.width, text.context) + text.width * embedding;

/**
 * Parameters and compute of a model by name (`d32l2`, `n3`, `B/32`; see modelConfig) or configuration. Names without an
 * input of their own get `input`, by default 64 pixels, patch 8, context 64, vocabulary 4,096.
 */
export function modelSize(model: string | ModelConfig, options: SizeOptions = {}): ModelSize {
  const config = typeof model === 'string' ? modelConfig(model, options) : checked(model);
  let parameters = 0;
  let nonEmbedding = 0;
  for (const { part, shape } of parametersOf(config)) {
    parameters += elements(shape);
    if (part !== 'token embedding') nonEmbedding += elements(shape);
  }
  return { parameters, nonEmbedding, macsPerPair: imageMacs(config) + textMacs(config) };
}

/** Tokens that each tower sees for one pair. */
export const tokensPerPair = (config: ModelConfig): { image: number; text: number } => ({
  image: patchCount(config) + 1,
  text: config.text.context,
});
