/** A byte-pair vocabulary learned from captions (Sennrich et al., 2016), over the same words as CLIP's. */
import { mergeBytes } from './byte-pairs.ts';
import { cleanText } from './clean.ts';
import { specialIds, type TokenVocabulary } from './remap.ts';
import { eachWord } from './words.ts';

export interface BytePairs {
  readonly vocabulary: TokenVocabulary;
  /** Pairs in the order in which they are merged, by inner ids: bytes, bytes that end a word (+256), and from 512 on the merges themselves. */
  readonly merges: readonly (readonly [left: number, right: number])[];
  /** Ids of a text, without start and end; bytes that the training captions lack are unknown. */
  encode(text: string): Int32Array;
}

const firstMerge = 512;
const keyOf = (left: number, right: number): number => left * 65536 + right;

/** Inner ids of a word's bytes, the last one marked. */
function bytesOf(bytes: Uint8Array, from: number, to: number): number[] {
  const tokens = [...bytes.subarray(from, to)];
  tokens[tokens.length - 1]! += 256;
  return tokens;
}

/**
 * Learns so many merges of the most frequent pairs (ties: the smaller ids) that at most `size` ids are used, special ones included;
 * fewer where no pair is seen twice any more. Layout: 0 pad, 1 unknown, bytes, merges, start, end.
 * @throws RangeError when `size` leaves no room for the bytes that occur
 */
export function trainBytePairs(captions: Iterable<string>, size: number): BytePairs {
  const counts = new Map<string, number>();
  for (const caption of captions) {
    eachWord(cleanText(caption, true), (bytes, from, to) => {
      const word = Buffer.from(bytes.subarray(from, to)).toString('latin1');
      counts.set(word, (counts.get(word) ?? 0) + 1);
    });
  }
  const words = [...counts].map(([word, count]) => {
    const bytes = Buffer.from(word, 'latin1');
    return { count, tokens: bytesOf(bytes, 0, bytes.length) };
  });
  const alphabet = [...new Set(words.flatMap(({ tokens }) => tokens))].sort((a, b) => a - b);
  const room = size - specialIds - alphabet.length;
  if (room < 0) throw new RangeError(`A vocabulary of ${size} ids has no room for the ${alphabet.length} bytes that the captions use and ${specialIds} special ids.`);

  const merges = learnMerges(words, room);
  const inner = new Map<number, number>();
  alphabet.forEach((token, index) => inner.set(token, 2 + index));
  merges.forEach((_, rank) => inner.set(firstMerge + rank, 2 + alphabet.length + rank));
  const ranks = new Map(merges.map(([left, right], rank) => [keyOf(left, right), firstMerge + rank]));
  const merged = (left: number, right: number): number => ranks.get(keyOf(left, right)) ?? -1;
  const total = specialIds + alphabet.length + merges.length;
  const seen = new Map<string, readonly number[]>();
  return {
    vocabulary: { size: total, pad: 0, unknown: 1, start: total - 2, end: total - 1 },
    merges,
    encode(text) {
      const ids: number[] = [];
      eachWord(cleanText(text, true), (bytes, from, to) => {
        const word = Buffer.from(bytes.subarray(from, to)).toString('latin1');
        let tokens = seen.get(word);
        if (tokens === undefined) {
          tokens = Array.from(mergeBytes(Int32Array.from(bytesOf(bytes, from, to)), merged), (token) => inner.get(token) ?? 1);
          seen.set(word, tokens);
        }
        for (const token of tokens) ids.push(token);
      });
      return Int32Array.from(ids);
    },
  };
}

interface CountedWord {
  readonly count: number;
  tokens: number[];
}

/** Merges one pair after the other; only words that hold it are looked at again. */
function learnMerges(words: readonly CountedWord[], most: number): [number, number][] {
  const totals = new Map<number, number>();
  const holders = new Map<number, Set<number>>();
  const note = (index: number, sign: 1 | -1): void => {
    const { tokens, count } = words[index]!;
    for (let at = 0; at + 1 < tokens.length; at++) {
      const key = keyOf(tokens[at]!, tokens[at + 1]!);
      const total = (totals.get(key) ?? 0) + sign * count;
      if (total === 0) totals.delete(key);
      else totals.set(key, total);
      if (sign === 1) (holders.get(key) ?? holders.set(key, new Set()).get(key)!).add(index);
    }
  };
  words.forEach((_, index) => note(index, 1));
  const merges: [number, number][] = [];
  while (merges.length < most) {
    let [best, bestTotal] = [-1, 1];
    for (const [key, total] of totals) if (total > bestTotal || (total === bestTotal && best >= 0 && key < best)) [best, bestTotal] = [key, total];
    if (best < 0) break;
    const [left, right] = [Math.floor(best / 65536), best % 65536];
    const token = firstMerge + merges.length;
    merges.push([left, right]);
    for (const index of holders.get(best)!) {
      note(index, -1);
      const word = words[index]!;
      const joined: number[] = [];
      for (let at = 0; at < word.tokens.length; at++) {
        const joins = word.tokens[at] === left && word.tokens[at + 1] === right;
        joined.push(joins ? token : word.tokens[at]!);
        if (joins) at++;
      }
      word.tokens = joined;
      note(index, 1);
    }
    holders.delete(best);
  }
  return merges;
}
