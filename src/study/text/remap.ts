/** A small vocabulary out of CLIP's: the tokens that the training captions use most, and four special ids. */
import { clipVocabularySize, endToken, startToken } from './vocabulary.ts';

/** Which ids a token file uses, and what they mean. */
export interface TokenVocabulary {
  /** Number of ids, special ones included; ids are below it. */
  readonly size: number;
  readonly pad: number;
  readonly start: number;
  /** The largest id, so that `argmax` over a row finds the end, as CLIP's pooling does. */
  readonly end: number;
  /** The id of tokens left out; absent where none is. */
  readonly unknown?: number;
  /** CLIP's id of each id, −1 for special ones; absent where ids are CLIP's own. */
  readonly mapping?: readonly number[];
}

/** CLIP's own ids: 49,408 of them, padded with 0 (which is also `!`: use lengths, not ids, to tell padding). */
export const clipTokens: TokenVocabulary = { size: clipVocabularySize, pad: 0, start: startToken, end: endToken };

/** Ids that a remapped vocabulary needs beside its tokens: pad, unknown, start, end. */
export const specialIds = 4;

/**
 * Keeps the tokens seen at least `minimum` times, the most frequent first (ties: the smaller CLIP id first), so that at most
 * `size` ids are used, special ones included. Layout: 0 pad, 1 unknown, tokens, start, end. The result may be smaller than
 * `size`, when the captions use fewer tokens.
 * @throws RangeError when `size` leaves no room for a token.
 */
export function remapVocabulary(captions: Iterable<ArrayLike<number>>, size: number, minimum = 2): TokenVocabulary {
  if (!Number.isInteger(size) || size <= specialIds) {
    throw new RangeError(
      `A vocabulary of ${size} ids has no room for tokens: ${specialIds} are special (pad, unknown, start, end).`,
    );
  }
  const counts = new Uint32Array(clipVocabularySize);
  for (const ids of captions) for (let i = 0; i < ids.length; i += 1) counts[ids[i]!]! += 1;
  counts[startToken] = 0; // a caption that spells out a special token must not bring it in twice
  counts[endToken] = 0;
  const kept = [...counts.keys()]
    .filter((id) => counts[id]! >= Math.max(1, minimum))
    .sort((a, b) => counts[b]! - counts[a]! || a - b)
    .slice(0, size - specialIds);
  const total = kept.length + specialIds;
  return { size: total, pad: 0, unknown: 1, start: total - 2, end: total - 1, mapping: [-1, -1, ...kept, -1, -1] };
}

/** Turns CLIP's ids into the vocabulary's. */
export function mapTokens(vocabulary: TokenVocabulary): (ids: ArrayLike<number>) => Int32Array {
  const { mapping, unknown } = vocabulary;
  if (mapping === undefined) return (ids) => Int32Array.from(ids);
  const table = new Int32Array(clipVocabularySize).fill(unknown ?? 0);
  mapping.forEach((clip, id) => {
    if (clip >= 0) table[clip] = id;
  });
  return (ids) => Int32Array.from(ids, (id) => table[id]!);
}
