/** Encoder–decoders: their forward pass, what they cost, and the loss of the captions they write. */
import { attentionMask } from './attention-pattern.ts';
import { imageEmbedding, imageTokens, lastNorm, placedTokens, textEmbedding, textTokens } from './clip.ts';
import type { ImageFeeds, TextFeeds, TowerOptions } from './clip.ts';
import { crossAttention, joinSequences, lastRows } from './decoder-layers.ts';
import type { Tensor } from './kernels.ts';
import { add, addPositions, attention, dense, layerNorm, quickGelu } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { patchCount } from './model-config.ts';
import { textShape, wholeReading } from './reading.ts';
import type { Tape } from './tape.ts';
import { transformer } from './transformer.ts';
import type { WeightOf } from './transformer.ts';

export interface Decoded {
  /** `[batch * tokens, width]`, what the next token is told from, under the token embedding as head. */
  readonly hidden: Tensor;
  /** Embeddings of both sides, where the model has them. */
  readonly image?: Tensor;
  readonly text?: Tensor;
}

/** The forward pass of an encoder–decoder on images and the captions so far. */
export function decode(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: { readonly image: ImageFeeds; readonly text: TextFeeds }, batch: number, options: TowerOptions = {}): Decoded {
  const { tokens } = textShape(config, (options.reading ?? wholeReading).text);
  if (config.decoder?.kind === 'coca') return decodeCrosswise(tape, weight, config, feeds, batch, tokens, options);
  const before = config.decoder?.kind === 'git' ? seenImage(tape, weight, config, feeds.image, batch, options) : plainPatches(tape, weight, config, feeds.image, batch);
  const prefix = before.shape[0]! / batch;
  const joined = joinSequences(tape, before, placedTokens(tape, weight, config, feeds.text.ids, batch, tokens), batch);
  const { allowed } = attentionMask({ kind: 'prefix', length: prefix }, prefix + tokens);
  const h = transformer(tape, weight, config, 'text', joined, { batch, tokens: prefix + tokens, causal: false, mask: { allowed }, checkpoint: options.checkpoint === true });
  return { hidden: lastNorm(tape, weight, config, 'text', lastRows(tape, h, batch, tokens)) };
}

/** The image tower's tokens, at the text's width. */
function seenImage(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: ImageFeeds, batch: number, options: TowerOptions): Tensor {
  const tokens = lastNorm(tape, weight, config, 'image', imageTokens(tape, weight, config, feeds, batch, options));
  return dense(tape, tokens, weight('decoder.image.weight'), weight('decoder.image.bias'));
}

function plainPatches(tape: Tape, weight: WeightOf, config: ModelConfig, { patches }: ImageFeeds, batch: number): Tensor {
  return addPositions(tape, dense(tape, patches, weight('decoder.patch.weight')), weight('decoder.patch.positions'), batch);
}

function decodeCrosswise(
  tape: Tape,
  weight: WeightOf,
  config: ModelConfig,
  feeds: { readonly image: ImageFeeds; readonly text: TextFeeds },
  batch: number,
  tokens: number,
  options: TowerOptions,
): Decoded {
  const seen = imageTokens(tape, weight, config, feeds.image, batch, options);
  const memory = lastNorm(tape, weight, config, 'image', seen);
  const half = textTokens(tape, weight, config, feeds.text, batch, options);
  const { layers, heads } = config.text;
  let h = half;
  for (let layer = 0; layer < layers; layer++) {
    const part = (suffix: string): Tensor => weight(`decoder.block${layer}.${suffix}`);
    const normed = (x: Tensor, name: string): Tensor => layerNorm(tape, x, part(`${name}.norm.gain`), part(`${name}.norm.bias`));
    const packed = dense(tape, normed(h, 'attention'), part('attention.in.weight'), part('attention.in.bias'));
    const mixed = attention(tape, packed, { batch, tokens, heads, causal: true });
    h = add(tape, h, dense(tape, mixed, part('attention.out.weight'), part('attention.out.bias')));
    const queries = dense(tape, normed(h, 'cross'), part('cross.query.weight'), part('cross.query.bias'));
    const keysValues = dense(tape, memory, part('cross.memory.weight'), part('cross.memory.bias'));
    const looked = crossAttention(tape, queries, keysValues, batch, heads);
    h = add(tape, h, dense(tape, looked, part('cross.out.weight'), part('cross.out.bias')));
    const inner = quickGelu(tape, dense(tape, normed(h, 'mlp'), part('mlp.in.weight'), part('mlp.in.bias')));
    h = add(tape, h, dense(tape, inner, part('mlp.out.weight'), part('mlp.out.bias')));
  }
  return {
    hidden: layerNorm(tape, h, weight('decoder.after.gain'), weight('decoder.after.bias')),
    image: imageEmbedding(tape, weight, config, seen, batch),
    text: textEmbedding(tape, weight, config, half, feeds.text.ends),
  };
}

/** Multiply-accumulates of a decoder, forward, for one image and one caption of `tokens` tokens, beyond those of the towers it uses; the head included. */
export function decoderMacs(config: ModelConfig, tokens: number): number {
  const { width, layers, vocabulary } = config.text;
  const head = tokens * width * vocabulary;
  const seen = patchCount(config) + 1;
  const blocks = (n: number): number => layers * (12 * n * width ** 2 + 2 * n ** 2 * width);
  switch (config.decoder?.kind) {
    case 'coca': {
      const cross = layers * (2 * tokens * width ** 2 + 2 * seen * config.image.width * width + 2 * tokens * seen * width);
      return blocks(tokens) + cross + head;
    }
    case 'git':
      return blocks(seen + tokens) + seen * config.image.width * width + head;
    case 'prefix-lm':
      return blocks(seen - 1 + tokens) + 3 * config.image.patch ** 2 * (seen - 1) * width + head;
    case undefined:
      return 0;
  }
}
