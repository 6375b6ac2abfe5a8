/** Ways to fit a caption into a budget of tokens: which of its tokens are kept. */
import type { Random } from '../data/random.ts';

export type TextReducer =
  /** The first ones. */
  | { readonly kind: 'truncate' }
  /** Drawn without replacement, order kept (CLIPA; Li et al., 2023). */
  | { readonly kind: 'random' }
  /** A run of them from a drawn place. */
  | { readonly kind: 'block' }
  /** Words by class (nouns, adjectives, verbs, others), the first of each class first, order kept. */
  | { readonly kind: 'syntax' }
  /** Words drawn by how rare they are: one of relative frequency f is dropped with 1 − √(threshold / f) (CLIPF; Liang and Larson, 2024). */
  | { readonly kind: 'frequency'; readonly threshold: number }
  /** The sentences that fit, in a drawn order, from their beginning; order kept. */
  | { readonly kind: 'sentences' };

/** A caption's tokens, without start and end, and what the reducers know of the words they belong to. Lists are by token. */
export interface ReducibleCaption {
  /** Number of tokens. */
  readonly length: number;
  /** Place of the token's word in the caption, ascending. */
  readonly words: ArrayLike<number>;
  /** Its class: 1 noun, 2 adjective, 3 verb, 4 other. */
  readonly classes: ArrayLike<number>;
  /** Share of the training captions' words that are this word. */
  readonly frequencies: ArrayLike<number>;
  /** Place of its sentence in the caption, ascending. */
  readonly sentences: ArrayLike<number>;
}

export const isRandom = (reducer: TextReducer): boolean => reducer.kind !== 'truncate' && reducer.kind !== 'syntax';

/**
 * Places of the tokens that are kept, ascending: all of them when there are no more than `budget`, else exactly or (where
 * whole words or sentences are kept) at most so many, and at least one.
 */
export function reduceTokens(reducer: TextReducer, caption: ReducibleCaption, budget: number, random: Random): Int32Array {
  const { length } = caption;
  if (!Number.isInteger(budget) || budget < 1) throw new RangeError(`a budget of ${budget} tokens keeps nothing`);
  if (length <= budget) return range(0, length);
  switch (reducer.kind) {
    case 'truncate':
      return range(0, budget);
    case 'random':
      return draw(length, budget, random);
    case 'block':
      return range(random.below(length - budget + 1), budget);
    case 'syntax':
      return keepWords(caption, budget, (word) => word.class);
    case 'frequency':
      return byFrequency(caption, budget, reducer.threshold, random);
    case 'sentences':
      return wholeSentences(caption, budget, random);
  }
}

const range = (from: number, count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => from + i);

/** `count` of 0 … length − 1 without replacement, ascending (selection sampling; Knuth, volume 2, 3.4.2). */
function draw(length: number, count: number, random: Random): Int32Array {
  const kept = new Int32Array(count);
  for (let at = 0, taken = 0; taken < count; at++) if (random.next() * (length - at) < count - taken) kept[taken++] = at;
  return kept;
}

interface Word {
  /** Places of its tokens: from `from`, `count` of them. */
  readonly from: number;
  readonly count: number;
  readonly class: number;
  readonly frequency: number;
}

function wordsOf({ length, words, classes, frequencies }: ReducibleCaption): Word[] {
  const found: Word[] = [];
  for (let from = 0; from < length; ) {
    let to = from + 1;
    while (to < length && words[to] === words[from]) to++;
    found.push({ from, count: to - from, class: classes[from]!, frequency: frequencies[from]! });
    from = to;
  }
  return found;
}

/** Words in ascending order of `rank`, ties in their own order, while budget is left; the last one may be cut. */
function keepWords(caption: ReducibleCaption, budget: number, rank: (word: Word, index: number) => number): Int32Array {
  const ranked = wordsOf(caption).map((word, index) => ({ word, rank: rank(word, index) }));
  ranked.sort((a, b) => a.rank - b.rank);
  const kept: number[] = [];
  for (const { word } of ranked) {
    for (let token = 0; token < word.count && kept.length < budget; token++) kept.push(word.from + token);
  }
  return Int32Array.from(kept).sort();
}

/** Words that survive their own draw come first, each in a drawn order, so that exactly the budget is used. */
function byFrequency(caption: ReducibleCaption, budget: number, threshold: number, random: Random): Int32Array {
  const ranks = wordsOf(caption).map(({ frequency }) => {
    const dropped = random.next() < 1 - Math.sqrt(threshold / Math.max(frequency, threshold));
    return (dropped ? 1 : 0) + random.next();
  });
  return keepWords(caption, budget, (_, index) => ranks[index]!);
}

function wholeSentences({ length, sentences }: ReducibleCaption, budget: number, random: Random): Int32Array {
  const starts: number[] = [];
  for (let at = 0; at < length; at++) if (at === 0 || sentences[at] !== sentences[at - 1]) starts.push(at);
  const order = starts.map((_, index) => ({ index, key: random.next() })).sort((a, b) => a.key - b.key);
  const kept: number[] = [];
  for (const { index } of order) {
    const [from, to] = [starts[index]!, starts[index + 1] ?? length];
    // The first one drawn is cut where it is too long; later ones must fit whole.
    if (kept.length > 0 && kept.length + to - from > budget) continue;
    for (let at = from; at < to && kept.length < budget; at++) kept.push(at);
  }
  return Int32Array.from(kept).sort();
}

/** Windows of at most `size` tokens that cover the caption, `stride` apart, for pooling over chunks: `[from, to)` each. */
export function chunks(length: number, size: number, stride = size): (readonly [from: number, to: number])[] {
  if (size < 1 || stride < 1 || stride > size) throw new RangeError(`windows of ${size} tokens, ${stride} apart, do not cover a caption`);
  const windows: [number, number][] = [];
  for (let from = 0; ; from += stride) {
    windows.push([from, Math.min(from + size, length)]);
    if (from + size >= length) return windows;
  }
}
