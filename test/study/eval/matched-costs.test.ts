import { describe, expect, it } from 'vitest';
import { matchedCosts } from '../../../src/study/eval/matched-costs.ts';

describe('what a comparison is matched in', () => {
  it('names each cost, who has as much of it, and how much the others have', () => {
    const kinds = [
      { name: 'dual', ratios: { parameters: 1, macs_per_pair: 1, flops: 1 } },
      { name: 'all', ratios: { parameters: 0.6797, macs_per_pair: 1, flops: 1.004 } },
      { name: 'narrow', ratios: { parameters: 0.671, macs_per_pair: 0.6455, flops: 0.996 } },
    ];
    expect(matchedCosts(kinds, 'dual', 0.05)).toBe(
      'Matched with dual within 5 % are parameters of none: all (0.680 times), narrow (0.671 times); operations a pair of all but narrow (0.645 times); training FLOP of all.',
    );
  });

  it('says nothing of what is not known', () => {
    expect(matchedCosts([{ name: 'a', ratios: {} }], 'b', 0.05)).toBe('');
    expect(matchedCosts([{ name: 'a', ratios: { flops: 1.049 } }, { name: 'c', ratios: {} }], 'b', 0.05)).toBe('Matched with b within 5 % are training FLOP of all.');
  });
});
