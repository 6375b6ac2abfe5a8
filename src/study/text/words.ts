/**
 * Cuts cleaned text into words, as CLIP's regular expression does: special tokens, contractions, runs of letters, single
 * digits, runs of other signs. Words are handed over as UTF-8 bytes.
 */

/** Letters of lower case only are expected; `ſ` (U+017F) equals `s` for a pattern that ignores case. */
const pattern = /<\|startoftext\|>|<\|endoftext\|>|'(?:[sſ]|t|re|ve|m|ll|d)|\p{L}+|\p{N}|[^\s\x85\p{L}\p{N}]+/gu;

const space = 1;
const letter = 2;
const digit = 3;
const other = 4;
/** The class of each ASCII character. */
const classes = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[\t-\r ]/.test(character)) return space;
  if (/[a-zA-Z]/.test(character)) return letter;
  return /[0-9]/.test(character) ? digit : other;
});

/** Is told where in `bytes` a word lies; the bytes are overwritten when the call has returned. */
export type WordVisit = (bytes: Uint8Array, from: number, to: number) => void;

let scratch = Buffer.alloc(4096);

function scratchOf(length: number): Buffer {
  if (scratch.length < length) scratch = Buffer.alloc(2 * length);
  return scratch;
}

const asciiOnly = /^[\0-\x7f]*$/;

/** Calls `visit` with each word of `text`, in order. */
export function eachWord(text: string, visit: WordVisit): void {
  // Four of five captions are plain ASCII, where a scan takes a tenth of the regular expression's time.
  if (asciiOnly.test(text)) {
    const bytes = scratchOf(text.length);
    bytes.write(text, 'latin1');
    scanAscii(bytes, text.length, visit);
    return;
  }
  for (const word of text.match(pattern) ?? []) {
    const bytes = scratchOf(3 * word.length);
    visit(bytes, 0, bytes.write(word));
  }
}

function scanAscii(bytes: Uint8Array, length: number, visit: WordVisit): void {
  let at = 0;
  while (at < length) {
    const kind = classes[bytes[at]!]!;
    if (kind === space) {
      at += 1;
      continue;
    }
    let end = at + (kind === other ? fixedLength(bytes, at, length) : 0);
    if (end === at) {
      end += 1;
      if (kind !== digit) while (end < length && classes[bytes[end]!] === kind) end += 1;
    }
    visit(bytes, at, end);
    at = end;
  }
}

const fixedWords = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", '<|startoftext|>', '<|endoftext|>'].map(word => Buffer.from(word));

/** Length of the contraction or special token that begins at `at`; 0 if none does. */
function fixedLength(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at];
  if (first !== 0x27 && first !== 0x3c) return 0;
  return fixedWords.find(word => at + word.length <= length && word.every((byte, index) => bytes[at + index] === byte))?.length ?? 0;
}
