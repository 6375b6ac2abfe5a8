import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { describeTokens, wordFrequencies } from '../../../src/study/text/reducible.ts';
import { chunks, type ReducibleCaption, reduceTokens, type TextReducer } from '../../../src/study/text/reduce.ts';
import { wordClasses } from '../../../src/study/text/word-classes.ts';

/** A caption of words written as `class*tokens`, sentences between bars: `n2 a1 | v1`. */
function captionOf(text: string, frequencies: Readonly<Record<string, number>> = {}): ReducibleCaption {
  const lists = { words: [] as number[], classes: [] as number[], frequencies: [] as number[], sentences: [] as number[] };
  let word = 0;
  let sentence = 0;
  for (const piece of text.split(' ')) {
    if (piece === '|') sentence++;
    else {
      for (let token = 0; token < Number(piece.slice(1)); token++) {
        lists.words.push(word);
        lists.classes.push('navo'.indexOf(piece[0]!) + 1);
        lists.frequencies.push(frequencies[piece] ?? 1e-3);
        lists.sentences.push(sentence);
      }
      word++;
    }
  }
  return { length: lists.words.length, ...lists };
}

const kept = (reducer: TextReducer, caption: ReducibleCaption, budget: number, seed = 1): number[] => [
  ...reduceTokens(reducer, caption, budget, randomOf('test', seed)),
];

describe('fitting a caption into a budget of tokens', () => {
  const caption = captionOf('o1 n2 v1 o1 a1 n1 | o1 n1 v2');

  it('keeps the first tokens', () => expect(kept({ kind: 'truncate' }, caption, 4)).toEqual([0, 1, 2, 3]));

  it('keeps a run of tokens, every run as likely', () => {
    const starts = new Map<number, number>();
    for (let seed = 0; seed < 700; seed++) {
      const run = kept({ kind: 'block' }, caption, 5, seed);
      expect(run).toEqual([0, 1, 2, 3, 4].map((i) => run[0]! + i));
      starts.set(run[0]!, (starts.get(run[0]!) ?? 0) + 1);
    }
    expect([...starts.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const count of starts.values()) expect(count).toBeGreaterThan(60);
  });

  it('draws tokens without replacement, each as likely, and keeps their order', () => {
    const counts = new Array<number>(11).fill(0);
    for (let seed = 0; seed < 1100; seed++) {
      const tokens = kept({ kind: 'random' }, caption, 3, seed);
      expect(new Set(tokens).size).toBe(3);
      expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
      for (const token of tokens) counts[token]!++;
    }
    for (const count of counts) expect(count).toBeGreaterThan(230);
  });

  it('keeps nouns, then adjectives, then verbs, and puts them back in order', () => {
    expect(kept({ kind: 'syntax' }, caption, 4)).toEqual([1, 2, 6, 8]); // both nouns of the first sentence and the one of the second
    expect(kept({ kind: 'syntax' }, caption, 5)).toEqual([1, 2, 5, 6, 8]);
    expect(kept({ kind: 'syntax' }, caption, 7)).toEqual([1, 2, 3, 5, 6, 8, 9]); // the last verb is cut after its first token
  });

  it('keeps rare words more often than common ones', () => {
    const mixed = captionOf('o1 n1 v1 a1', { o1: 0.1, n1: 1e-6, v1: 0.1, a1: 0.1 });
    const counts = [0, 0, 0, 0];
    for (let seed = 0; seed < 400; seed++) for (const token of kept({ kind: 'frequency', threshold: 1e-4 }, mixed, 2, seed)) counts[token]!++;
    expect(counts[1]).toBeGreaterThan(380);
    for (const place of [0, 2, 3]) expect(counts[place]).toBeLessThan(counts[1]! / 2);
  });

  it('keeps whole sentences, and cuts only the one drawn first', () => {
    const three = captionOf('n3 | n2 | n4');
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) seen.add(kept({ kind: 'sentences' }, three, 5, seed).join());
    expect([...seen].sort()).toEqual(['0,1,2,3,4', '5,6,7,8']); // after the second, the third is too long and the first still fits
    expect(kept({ kind: 'sentences' }, captionOf('n9'), 4)).toEqual([0, 1, 2, 3]);
  });

  it('repeats its draws for the same seed, leaves short captions alone, and never goes over the budget', () => {
    const kinds: TextReducer[] = [{ kind: 'truncate' }, { kind: 'random' }, { kind: 'block' }, { kind: 'syntax' }, { kind: 'frequency', threshold: 1e-4 }, { kind: 'sentences' }];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('n', 'a', 'v', 'o'), fc.integer({ min: 1, max: 4 }), fc.boolean()), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 40 }), fc.integer(), fc.constantFrom(...kinds),
        (words, budget, seed, reducer) => {
          const whole = captionOf(words.map(([kind, tokens, ends], i) => `${kind}${tokens}${ends && i < words.length - 1 ? ' |' : ''}`).join(' '));
          const tokens = kept(reducer, whole, budget, seed);
          expect(tokens).toEqual(kept(reducer, whole, budget, seed));
          expect(tokens.length).toBeLessThanOrEqual(budget);
          expect(tokens.length).toBeGreaterThan(0);
          expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
          if (whole.length <= budget) expect(tokens).toHaveLength(whole.length);
          else if (reducer.kind !== 'sentences') expect(tokens).toHaveLength(budget);
        },
      ),
    );
  });

  it('cuts a long caption into windows that cover it', () => {
    expect(chunks(10, 4)).toEqual([[0, 4], [4, 8], [8, 10]]);
    expect(chunks(10, 4, 3)).toEqual([[0, 4], [3, 7], [6, 10]]);
    expect(chunks(3, 4)).toEqual([[0, 3]]);
    expect(() => chunks(9, 3, 4)).toThrow(/do not cover/);
  });

  it('describes the tokens of a caption: words, classes, sentences', () => {
    const described = describeTokens('A mass of 3.5 cm. It enhances!');
    expect(described.spelled.join(' ')).toBe('a mass of 3 . 5 cm . it enhances !');
    expect(described.words).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(described.sentences).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    expect(described.classes).toEqual([4, 1, 4, 4, 4, 4, 1, 4, 4, 3, 4]);
    expect([...wordFrequencies([described])].find(([word]) => word === '.')).toEqual(['.', 2 / 11]);
  });

  it('tells nouns, adjectives and verbs from other words', () => {
    const text = 'axial ct scan of the pelvis showing a large mass (arrow), 2 days after';
    const words = ['axial', 'ct', 'scan', 'of', 'the', 'pelvis', 'showing', 'a', 'large', 'mass', '(', 'arrow', '),', '2', 'days', 'after'];
    expect([...wordClasses(text, words)]).toEqual([2, 1, 1, 4, 4, 1, 3, 4, 2, 1, 4, 1, 4, 4, 1, 4]);
  });
});
