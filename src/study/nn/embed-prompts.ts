import { modalityOf } from '../data/modality.ts';
import type { Backend } from './backend.ts';
import { embedder } from './embed.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { type PromptVocabulary, promptTokens } from './prompt-tokens.ts';
import { wholeReading } from './reading.ts';

/**
 * Embeddings `[texts, width]` of texts of one's own, at unit length, read whole.
 * @throws PairedDataError where the vocabulary is not made of CLIP's byte pairs
 */
export async function embedPrompts(backend: Backend, config: ModelConfig, weights: Weights, vocabulary: PromptVocabulary, texts: readonly string[]): Promise<Float32Array> {
  const tokens = promptTokens(vocabulary, texts);
  const { count } = tokens;
  const { resolution } = config.image;
  // Both towers run in one pass: the other one gets black images. Adapters of a modality are chosen by what a prompt names.
  const rows = texts.map((text) => ({ modality: modalityOf(text) }));
  const blank = { count, resolution, channels: 3, mean: [0, 0, 0], std: [1, 1, 1], rows, read: (_: ArrayLike<number>, out: Uint8Array): void => void out.fill(0) };
  const embed = embedder(backend, config, weights, blank, tokens, Math.min(64, count), wholeReading);
  try {
    return (await embed.embed(Uint32Array.from({ length: count }, (_, index) => index))).text;
  } finally {
    embed.dispose();
  }
}
