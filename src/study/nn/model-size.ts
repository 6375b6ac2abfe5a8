import { adapterMacs } from './adapters.ts';
import { attentionMask, pooledAtStart } from './attention-pattern.ts';
import { decoderMacs } from './decoder.ts';
import { elements } from './kernels.ts';
import type { ModelConfig, SizeOptions } from './model-config.ts';
import { checked, modelConfig, patchCount } from './model-config.ts';
import { parametersOf } from './parameters.ts';
import { resNetMacs } from './resnet.ts';
import { patchesRead, type Reading, textShape, wholeReading } from './reading.ts';

export interface ModelSize {
  readonly parameters: number;
  /** Without the token embedding, whose share is half of a small model and whose lookups cost nothing. */
  readonly nonEmbedding: number;
  /** Of all parameters, those that training changes. */
  readonly trainable: number;
  /** Multiply-accumulates of one forward pass of one image and one caption. Training costs 6 FLOP for each. */
  readonly macsPerPair: number;
}

/** FLOP that training spends on one pair for each multiply-accumulate of the forward pass: 2 forward, 4 backward. */
export const flopsPerMac = 6;

/** The same with a frozen base: gradients flow through it, but its weights get none. */
export const flopsPerMacOf = ({ adapter }: ModelConfig): number => (adapter === undefined ? flopsPerMac : 4);

/** Multiply-accumulates of a transformer on `tokens` tokens of which `pairs` see each other: L (12 n d² + 2 pairs d). */
const transformerMacs = (layers: number, width: number, tokens: number, pairs = tokens ** 2): number =>
  layers * (12 * tokens * width ** 2 + 2 * pairs * width);

/** Multiply-accumulates of the image tower on one image as it is read: patches, transformer, projection. */
export function imageMacs(config: ModelConfig, { image: reading }: Reading = wholeReading): number {
  const { image, embedding } = config;
  if (image.resnet !== undefined) return resNetMacs(config);
  const patches = patchesRead(config, reading);
  return (
    transformerMacs(image.layers, image.width, patches + 1) +
    3 * image.patch ** 2 * patches * image.width +
    image.width * embedding +
    adapterMacs(config, 'image', patches + 1)
  );
}

/**
 * Pairs of tokens that attention works on for one sequence of `tokens` tokens. Causal attention counts as all of them, as in
 * published counts; sparse patterns count the pairs they allow.
 */
export function attentionPairs({ text }: ModelConfig, tokens: number = text.context): number {
  const { attention } = text;
  if (attention === undefined || attention.kind === 'bidirectional') return tokens ** 2;
  const pattern = attention.kind === 'prefix' ? { ...attention, length: Math.min(attention.length, tokens) } : attention;
  return attentionMask(pattern, tokens, pooledAtStart(pattern) && pattern.global !== false ? [0] : []).pairs;
}

/** Multiply-accumulates of the text tower on one caption as it is read: transformer over the whole context, projection. */
export function textMacs(config: ModelConfig, { text: reading }: Reading = wholeReading): number {
  const { text, embedding } = config;
  const { tokens, sequences } = textShape(config, reading);
  return sequences * (transformerMacs(text.layers, text.width, tokens, attentionPairs(config, tokens)) + text.width * embedding + adapterMacs(config, 'text', tokens));
}

/** Multiply-accumulates of one image and one caption, forward. */
export function macsPerPair(config: ModelConfig, reading: Reading = wholeReading): number {
  const { decoder, auxiliary } = config;
  if (auxiliary !== undefined) {
    // A second pass of the tower that is asked, and its head.
    const { auxiliary: _, ...plain } = config;
    const { width, vocabulary } = config.text;
    const asked =
      auxiliary.kind === 'mim'
        ? imageMacs(config, reading) + 3 * config.image.patch ** 2 * patchCount(config) * config.image.width
        : textMacs(config, reading) + textShape(config, reading.text).tokens * width * vocabulary;
    return macsPerPair(plain, reading) + asked;
  }
  if (decoder === undefined) return imageMacs(config, reading) + textMacs(config, reading);
  const own = decoderMacs(config, textShape(config, reading.text).tokens);
  const image = decoder.kind === 'prefix-lm' ? 0 : imageMacs(config, reading) - (decoder.kind === 'git' ? config.image.width * config.embedding : 0);
  return own + image + (decoder.kind === 'coca' ? textMacs(config, reading) : 0);
}

/**
 * Parameters and compute of a model by name (`d32l2`, `n3`, `B/32`; see modelConfig) or configuration. Names without an
 * input of their own get `input`, by default 64 pixels, patch 8, context 64, vocabulary 4,096.
 */
export function modelSize(model: string | ModelConfig, options: SizeOptions = {}): ModelSize {
  const config = typeof model === 'string' ? modelConfig(model, options) : checked(model);
  let parameters = 0;
  let nonEmbedding = 0;
  let trainable = 0;
  for (const { part, shape, frozen = false, kept = false } of parametersOf(config)) {
    if (kept) continue;
    parameters += elements(shape);
    if (!frozen) trainable += elements(shape);
    if (part !== 'token embedding') nonEmbedding += elements(shape);
  }
  return { parameters, nonEmbedding, trainable, macsPerPair: macsPerPair(config) };
}

/** Tokens that each tower sees for one pair. */
export function tokensPerPair(config: ModelConfig, reading: Reading = wholeReading): { image: number; text: number } {
  const { tokens, sequences } = textShape(config, reading.text);
  const places = config.image.resnet === undefined ? patchesRead(config, reading.image) : patchCount(config);
  return { image: places + 1, text: tokens * sequences };
}
