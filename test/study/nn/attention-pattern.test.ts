import { describe, expect, it } from 'vitest';
import { type AttentionPattern, attentionMask, reachesAll } from '../../../src/study/nn/attention-pattern.ts';

/** One line a query: `x` where it sees the key. */
const drawn = (pattern: AttentionPattern, tokens: number, globals: readonly number[] = []): string[] => {
  const { allowed } = attentionMask(pattern, tokens, globals);
  return Array.from({ length: tokens }, (_, i) => Array.from(allowed.subarray(i * tokens, (i + 1) * tokens), (one) => (one === 1 ? 'x' : '.')).join(''));
};

describe('attention patterns', () => {
  it.each<[string, AttentionPattern, number, readonly number[], readonly string[]]>([
    ['all', { kind: 'bidirectional' }, 3, [], ['xxx', 'xxx', 'xxx']],
    ['what came before', { kind: 'causal' }, 4, [], ['x...', 'xx..', 'xxx.', 'xxxx']],
    ['a prefix and what came before', { kind: 'prefix', length: 2 }, 4, [], ['xx..', 'xx..', 'xxx.', 'xxxx']],
    ['a window', { kind: 'window', width: 2 }, 5, [], ['xx...', 'xxx..', '.xxx.', '..xxx', '...xx']],
    ['a dilated window', { kind: 'dilated', width: 2, dilation: 2 }, 5, [], ['x.x..', '.x.x.', 'x.x.x', '.x.x.', '..x.x']],
    ['a window, and the first token with all', { kind: 'longformer', width: 2 }, 5, [0], ['xxxxx', 'xxx..', 'xxxx.', 'x.xxx', 'x..xx']],
    ['a window and every third', { kind: 'strided', width: 2, stride: 3 }, 6, [], ['xx.x..', 'xxx.x.', '.xxx.x', 'x.xxx.', '.x.xxx', '..x.xx']],
    ['the same block', { kind: 'block', size: 2 }, 5, [], ['xx...', 'xx...', '..xx.', '..xx.', '....x']],
  ])('%s', (_, pattern, tokens, globals, lines) => {
    expect(drawn(pattern, tokens, globals)).toEqual(lines);
    expect(attentionMask(pattern, tokens, globals).pairs).toBe(lines.join('').replaceAll('.', '').length);
  });

  it('draws BigBird blocks by seed: neighbours, the first block both ways, and so many others a row', () => {
    const pattern = { kind: 'bigbird', block: 2, windowBlocks: 1, randomBlocks: 1, seed: 7 } as const;
    const lines = drawn(pattern, 12);
    expect(drawn(pattern, 12)).toEqual(lines);
    expect(drawn({ ...pattern, seed: 8 }, 12)).not.toEqual(lines);
    for (let block = 0; block < 6; block++) {
      const row = lines[2 * block]!;
      expect(lines[2 * block + 1]).toBe(row);
      const blocks = Array.from({ length: 6 }, (_, other) => row.slice(2 * other, 2 * other + 2));
      expect(new Set(blocks)).toSatisfy((kinds: Set<string>) => !kinds.has('x.') && !kinds.has('.x'));
      const seen = blocks.flatMap((text, other) => (text === 'xx' ? [other] : []));
      if (block === 0) expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
      else {
        expect(seen).toContain(0);
        expect(seen).toContain(block);
        expect(seen).toHaveLength(3);
      }
    }
  });

  it('lets every token see itself, whatever the pattern', () => {
    const patterns: AttentionPattern[] = [
      { kind: 'dilated', width: 1, dilation: 3 },
      { kind: 'block', size: 1 },
      { kind: 'strided', width: 1, stride: 50 },
      { kind: 'bigbird', block: 3, windowBlocks: 1, randomBlocks: 0, seed: 1 },
    ];
    for (const pattern of patterns) drawn(pattern, 11).forEach((row, i) => expect(row[i]).toBe('x'));
  });

  it('knows whether the token that is read sees everything after so many layers', () => {
    const window = attentionMask({ kind: 'window', width: 2 }, 9);
    expect(reachesAll(window, 4, 3)).toBe(false);
    expect(reachesAll(window, 4, 4)).toBe(true);
    expect(reachesAll(attentionMask({ kind: 'block', size: 3 }, 9), 0, 100)).toBe(false);
    expect(reachesAll(attentionMask({ kind: 'block', size: 3 }, 9, [0]), 0, 1)).toBe(true);
    expect(reachesAll(attentionMask({ kind: 'causal' }, 5), 0, 9)).toBe(false);
    expect(reachesAll(attentionMask({ kind: 'causal' }, 5), 4, 1)).toBe(true);
  });

  it('refuses sizes that make no pattern, by name', () => {
    expect(() => attentionMask({ kind: 'window', width: 0 }, 4)).toThrow(/window has width 0/);
    expect(() => attentionMask({ kind: 'prefix', length: 5 }, 4)).toThrow(/prefix of 5 tokens is longer than the 4/);
    expect(() => attentionMask({ kind: 'bigbird', block: 2, windowBlocks: 2, randomBlocks: 1, seed: 1 }, 8)).toThrow(/no middle/);
    expect(() => attentionMask({ kind: 'block', size: 1.5 }, 8)).toThrow(/size 1.5/);
  });
});
