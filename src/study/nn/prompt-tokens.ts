/** Texts of one's own, cut as a tokens folder's captions are. */
import { mapTokens } from '../text/remap.ts';
import { tokenRows } from '../text/rows.ts';
import type { TokenFile } from '../text/token-file.ts';
import { tokenize } from '../text/tokenizer.ts';
import { clipVocabularySize } from '../text/vocabulary.ts';
import type { TokenSource } from './batches.ts';
import { PairedDataError } from './data.ts';

/** The vocabulary of a tokens folder, as texts that are none of its captions need it. */
export type PromptVocabulary = Pick<TokenFile, 'context' | 'vocabulary' | 'pad' | 'start' | 'end' | 'unknown' | 'mapping'>;

/**
 * Tokens of texts; beyond the context they are cut.
 * @throws PairedDataError where the vocabulary is not made of CLIP's byte pairs
 */
export function promptTokens({ context, vocabulary: size, pad, start, end, unknown, mapping }: PromptVocabulary, texts: readonly string[]): TokenSource {
  if (mapping === undefined && size !== clipVocabularySize) {
    throw new PairedDataError("prompts are cut by CLIP's byte pairs, but these captions were cut by a vocabulary of their own: leave the prompts out, or set vocabulary: clip or a number");
  }
  const known = { size, pad, start, end, ...(unknown === undefined ? {} : { unknown }), ...(mapping === undefined ? {} : { mapping }) };
  const map = mapTokens(known);
  return { count: texts.length, context, vocabulary: size, ...tokenRows(texts.map((text) => map(tokenize(text))), known, context) };
}
