import { describe, expect, it } from 'vitest';
import { matchedCosts, shownAs } from '../../../src/study/eval/matched-costs.ts';

describe('what a comparison is matched in', () => {
  it('names each cost, who has as much of it, and how much the others have', () => {
    const kinds = [
      { name: 'dual', ratios: { parameters: 1, macs_per_pair: 1, flops: 1 } },
      { name: 'all', ratios: { parameters: 0.6797, macs_per_pair: 1, flops: 1.004 } },
      { name: 'narrow', ratios: { parameters: 0.671, macs_per_pair: 0.6455, flops: 0.996 } },
    ];
    expect(matchedCosts(kinds, 'dual', 0.05)).toBe(
      'Matched with dual within 5 % are parameters of none: all (0.680 times), narrow (0.671 times); operations a pair of every one but narrow (0.645 times); training FLOP of every one.',
    );
  });

  it('says nothing of what is not known', () => {
    expect(matchedCosts([{ name: 'a', ratios: {} }], 'b', 0.05)).toBe('');
    expect(matchedCosts([{ name: 'a', ratios: { flops: 1.049 } }, { name: 'c', ratios: {} }], 'b', 0.05)).toBe('Matched with b within 5 % are training FLOP of every one.');
  });
});

it('says below a plot what its bars are', () => {
  const kind = (name: string, ratios: object, more: object = {}): Parameters<typeof shownAs>[0][number] => ({ name, ratios, runs: 6, folds: 3, level: 0.95, ...more });
  expect(shownAs([kind('dual', { parameters: 1, flops: 1 }), kind('all', { parameters: 0.7, flops: 1.01 })], 0.05)).toBe('means of 6 runs in 3 folds with 95 % intervals; equal within 5 %: training FLOP');
  expect(shownAs([kind('a', {}, { folds: 1, runs: 2 })], 0.05)).toBe('means of 2 runs with 95 % intervals');
  expect(shownAs([kind('a', {}, { folds: 1, runs: 1 })], 0.05)).toBe('single runs');
  expect(shownAs([kind('a', {}), kind('b', {}, { runs: 5 })], 0.05)).toBe('means of several runs with 95 % intervals');
});
