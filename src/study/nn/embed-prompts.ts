import type { TokenFile } from '../text/token-file.ts';
import { mapTokens } from '../text/remap.ts';
import { tokenRows } from '../text/rows.ts';
import { tokenize } from '../text/tokenizer.ts';
import { clipVocabularySize } from '../text/vocabulary.ts';
import type { Backend } from './backend.ts';
import { PairedDataError } from './data.ts';
import { embedder } from './embed.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { wholeReading } from './reading.ts';

/** The vocabulary of a tokens folder, as texts that are none of its captions need it. */
export type PromptVocabulary = Pick<TokenFile, 'context' | 'vocabulary' | 'pad' | 'start' | 'end' | 'unknown' | 'mapping'>;

/**
 * Embeddings `[texts, width]` of texts of one's own, at unit length, read whole. Beyond the context they are cut.
 * @throws PairedDataError where the vocabulary is not made of CLIP's byte pairs
 */
export async function embedPrompts(backend: Backend, config: ModelConfig, weights: Weights, vocabulary: PromptVocabulary, texts: readonly string[]): Promise<Float32Array> {
  const { context, vocabulary: size, pad, start, end, unknown, mapping } = vocabulary;
  if (mapping === undefined && size !== clipVocabularySize) {
    throw new PairedDataError("prompts are cut by CLIP's byte pairs, but these captions were cut by a vocabulary of their own: leave the prompts out, or set vocabulary: clip or a number");
  }
  const known = { size, pad, start, end, ...(unknown === undefined ? {} : { unknown }), ...(mapping === undefined ? {} : { mapping }) };
  const map = mapTokens(known);
  const rows = tokenRows(texts.map((text) => map(tokenize(text))), known, context);
  const count = texts.length;
  const { resolution } = config.image;
  // Both towers run in one pass: the other one gets black images.
  const blank = { count, resolution, channels: 3, mean: [0, 0, 0], std: [1, 1, 1], read: (_: ArrayLike<number>, out: Uint8Array): void => void out.fill(0) };
  const embed = embedder(backend, config, weights, blank, { count, context, vocabulary: size, ...rows }, Math.min(64, count), wholeReading);
  try {
    return (await embed.embed(Uint32Array.from({ length: count }, (_, index) => index))).text;
  } finally {
    embed.dispose();
  }
}
