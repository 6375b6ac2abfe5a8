/** What reducers need to know of captions: which word, class and sentence each token belongs to, and how rare the word is. */
import type { ReducibleCaption } from './reduce.ts';
import type { TokenRows } from './rows.ts';
import { tokenizeWords } from './tokenizer.ts';
import { wordClasses } from './word-classes.ts';

/** Lists by token, `[count, context]`, laid out as the ids are: the token at place p of a row is described at place p. */
export interface ReducibleTokens {
  readonly words: Uint16Array;
  readonly classes: Uint8Array;
  readonly sentences: Uint8Array;
  readonly frequencies: Float32Array;
  /** Rows of the tokens of each caption's first characters alone, as PubMedCLIP's code cuts it. */
  readonly first: TokenRows & { readonly characters: number; readonly context: number };
}

/** What is said of one caption's tokens, without start and end, in order. */
export interface DescribedTokens {
  readonly words: readonly number[];
  readonly classes: readonly number[];
  readonly sentences: readonly number[];
  /** The word that each token belongs to, for counting. */
  readonly spelled: readonly string[];
}

/** A sign that ends a sentence; a point before a digit belongs to a number. */
const ends = /[.!?]/;
const digit = /^\p{N}$/u;

export function describeTokens(caption: string): DescribedTokens {
  const { text, words, tokens } = tokenizeWords(caption);
  const classes = classesOf(text, words);
  const described = { words: [] as number[], classes: [] as number[], sentences: [] as number[], spelled: [] as string[] };
  let sentence = 0;
  words.forEach((word, index) => {
    for (let token = 0; token < tokens[index]!.length; token++) {
      described.words.push(index);
      described.classes.push(classes[index]!);
      described.sentences.push(sentence);
      described.spelled.push(word);
    }
    if (endsSentence(words, index)) sentence = Math.min(255, sentence + 1);
  });
  return described;
}

const endsSentence = (words: readonly string[], index: number): boolean => ends.test(words[index]!) && !digit.test(words[index + 1] ?? '');

/** Classes of sentences that were seen before: tagging takes most of the time, and captions repeat themselves. */
const known = new Map<string, Uint8Array>();
const mostKnown = 1 << 16;

/** The class of each word, sentence by sentence. */
function classesOf(text: string, words: readonly string[]): Uint8Array {
  const classes = new Uint8Array(words.length);
  let [first, from, at] = [0, 0, 0];
  words.forEach((word, index) => {
    at = text.indexOf(word, at) + word.length;
    if (index < words.length - 1 && !endsSentence(words, index)) return;
    const sentence = text.slice(from, at);
    let found = known.get(sentence);
    if (found === undefined) {
      found = wordClasses(sentence, words.slice(first, index + 1));
      if (known.size >= mostKnown) known.clear();
      known.set(sentence, found);
    }
    classes.set(found, first);
    [first, from] = [index + 1, at];
  });
  return classes;
}

/** Share of all words that each word is. */
export function wordFrequencies(captions: Iterable<DescribedTokens>): Map<string, number> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const { words, spelled } of captions) {
    words.forEach((word, at) => {
      if (at > 0 && words[at - 1] === word) return;
      counts.set(spelled[at]!, (counts.get(spelled[at]!) ?? 0) + 1);
      total++;
    });
  }
  return new Map([...counts].map(([word, count]) => [word, count / total]));
}

/** Lays descriptions out beside the rows of ids. Words that the training captions lack have frequency 0, the rarest. */
export function reducibleTokens(
  captions: readonly DescribedTokens[],
  frequencies: ReadonlyMap<string, number>,
  rows: TokenRows,
  context: number,
): Omit<ReducibleTokens, 'first'> {
  const size = captions.length * context;
  const result = { words: new Uint16Array(size), classes: new Uint8Array(size), sentences: new Uint8Array(size), frequencies: new Float32Array(size) };
  captions.forEach(({ words, classes, sentences, spelled }, row) => {
    for (let token = 0; token < rows.lengths[row]! - 2; token++) {
      const at = row * context + 1 + token;
      result.words[at] = words[token]!;
      result.classes[at] = classes[token]!;
      result.sentences[at] = sentences[token]!;
      result.frequencies[at] = frequencies.get(spelled[token]!) ?? 0;
    }
  });
  return result;
}

/** One row as the reducers take it. */
export function captionOf({ words, classes, sentences, frequencies }: Omit<ReducibleTokens, 'first'>, row: number, context: number, length: number): ReducibleCaption {
  const [from, to] = [row * context + 1, row * context + length - 1];
  return {
    length: length - 2,
    words: words.subarray(from, to),
    classes: classes.subarray(from, to),
    sentences: sentences.subarray(from, to),
    frequencies: frequencies.subarray(from, to),
  };
}
