/**
 * Cuts cleaned text into words, as CLIP's regular expression does: special tokens, contractions, runs of letters, single
 * digits, runs of other signs.
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

/** Calls `visit` with each word of `text`, in order. */
export function eachWord(text: string, visit: (word: string) => void): void {
  // Four of five captions are plain ASCII, where a scan takes a third of the regular expression's time.
  if (!scanAscii(text, visit)) for (const word of text.match(pattern) ?? []) visit(word);
}

/** False, with nothing visited, when the text is not plain ASCII. */
function scanAscii(text: string, visit: (word: string) => void): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 127) return false;
  let at = 0;
  while (at < text.length) {
    const kind = classes[text.charCodeAt(at)]!;
    if (kind === space) {
      at += 1;
      continue;
    }
    let end = at + (kind === other ? fixedLength(text, at) : 0);
    if (end === at) {
      end += 1;
      if (kind !== digit) while (end < text.length && classes[text.charCodeAt(end)] === kind) end += 1;
    }
    visit(text.slice(at, end));
    at = end;
  }
  return true;
}

const fixedWords = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", '<|startoftext|>', '<|endoftext|>'];

/** Length of the contraction or special token that begins at `at`; 0 if none does. */
function fixedLength(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first !== 0x27 && first !== 0x3c) return 0;
  return fixedWords.find((word) => text.startsWith(word, at))?.length ?? 0;
}
