/**
 * CLIP's byte-pair tokenizer, equal to OpenAI's `SimpleTokenizer` (https://github.com/openai/CLIP, clip/simple_tokenizer.py).
 */
import { mergeBytes } from './byte-pairs.ts';
import { cleanText } from './clean.ts';
import { clipVocabulary, endToken, startToken } from './vocabulary.ts';
import { wordTable } from './word-table.ts';
import { eachWord } from './words.ts';

/** Words recur: a table turns nearly all merging into one look-up. It is emptied when full, so that it cannot grow without end. */
const known = wordTable(1 << 17);
const longestKept = 64;

export interface TokenizeOptions {
  /** Repair the text first as ftfy does (quotes, widths, ligatures, mojibake, NFC). Default true, as OpenAI's code does. */
  readonly repair?: boolean;
}

/**
 * CLIP's token ids of a text, without start (49406) and end (49407). Any text is accepted; an empty one gives `[]`.
 */
export function tokenize(text: string, options: TokenizeOptions = {}): number[] {
  const ids: number[] = [];
  eachWord(cleanText(text, options.repair ?? true), (bytes, from, to) => {
    let place = known.find(bytes, from, to);
    if (place < 0) {
      const tokens = encodeWord(bytes, from, to);
      if (to - from > longestKept) {
        for (const token of tokens) ids.push(token);
        return;
      }
      place = known.keep(bytes, from, to, tokens);
    }
    known.appendTokens(place, ids);
  });
  return ids;
}

/** A text as CLIP cuts it: cleaned, in words, with each word's tokens. */
export interface TokenizedWords {
  readonly text: string;
  readonly words: readonly string[];
  readonly tokens: readonly Int32Array[];
}

/** The same tokens as `tokenize` gives, word by word, for those who ask which word a token belongs to. */
export function tokenizeWords(text: string, options: TokenizeOptions = {}): TokenizedWords {
  const cleaned = cleanText(text, options.repair ?? true);
  const words: string[] = [];
  const tokens: Int32Array[] = [];
  eachWord(cleaned, (bytes, from, to) => {
    words.push(Buffer.from(bytes.subarray(from, to)).toString('utf8'));
    tokens.push(encodeWord(bytes, from, to));
  });
  return { text: cleaned, words, tokens };
}

const startWord = Buffer.from('<|startoftext|>');
const endWord = Buffer.from('<|endoftext|>');

function encodeWord(bytes: Uint8Array, from: number, to: number): Int32Array {
  const word = bytes.subarray(from, to);
  if (startWord.equals(word)) return Int32Array.of(startToken);
  if (endWord.equals(word)) return Int32Array.of(endToken);
  const vocabulary = clipVocabulary();
  const tokens = new Int32Array(word.length);
  for (let at = 0; at < word.length; at += 1) tokens[at] = vocabulary.byteToken[word[at]!]!;
  tokens[tokens.length - 1]! += 256;
  return mergeBytes(tokens, vocabulary.merged);
}

/**
 * Text of CLIP's token ids: lower case, one space after each word, as OpenAI's `decode` but without the last space; start
 * and end are left out. Bytes that are no UTF-8 become U+FFFD.
 * @throws RangeError for an id that CLIP does not have.
 */
export function detokenize(ids: ArrayLike<number>): string {
  const { left, right, tokenByte } = clipVocabulary();
  const bytes: number[] = [];
  const expand = (token: number): void => {
    if (token >= 512) {
      expand(left[token]!);
      expand(right[token]!);
      return;
    }
    bytes.push(tokenByte[token & 255]!);
    if (token >= 256) bytes.push(0x20);
  };
  for (let i = 0; i < ids.length; i += 1) {
    const token = ids[i]!;
    if (token === startToken || token === endToken) continue;
    if (!Number.isInteger(token) || token < 0 || token > endToken) {
      throw new RangeError(`Token ${token} at ${i} is not one of CLIP's (0–49407).`);
    }
    expand(token);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes)).trimEnd();
}
