import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { holm, mcNemar, pairedBootstrap } from '../../../src/study/eval/significance.ts';

const count = (length: number): number[] => Array.from({ length }, (_, i) => i);

describe('comparing two models on the same cases', () => {
  it('finds a difference that is there, and its size', () => {
    const random = randomOf('cases');
    const b = count(200).map(() => random.next());
    const a = b.map((score) => score + 0.1 + 0.05 * random.normal());
    const { difference, interval, p, groups } = pairedBootstrap(a, b, count(200).map(String), { replicates: 2000 });
    expect(difference).toBeCloseTo(0.1, 1);
    expect(interval[0]).toBeLessThan(difference);
    expect(interval[1]).toBeGreaterThan(difference);
    expect(interval[1] - interval[0]).toBeCloseTo((2 * 1.96 * 0.05) / Math.sqrt(200), 2);
    expect(p).toBe(1 / 2000);
    expect(groups).toBe(200);
  });

  it('finds none between equals', () => {
    const scores = count(50).map((i) => i % 3);
    expect(pairedBootstrap(scores, scores, count(50).map(String), { replicates: 500 })).toMatchObject({ difference: 0, interval: [0, 0], p: 1 });
  });

  it('covers no difference about 95 times in 100', () => {
    let covered = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = randomOf('null', seed);
      const a = count(60).map(() => random.normal());
      const { interval } = pairedBootstrap(a, new Float64Array(60), count(60).map(String), { replicates: 400, seed });
      if (interval[0] <= 0 && interval[1] >= 0) covered++;
    }
    expect(covered).toBeGreaterThan(175);
    expect(covered).toBeLessThanOrEqual(200);
  });

  it('is less sure where cases belong together', () => {
    const random = randomOf('groups');
    const effect = count(20).map(() => random.normal());
    const a = count(200).map((i) => effect[i % 20]! + 0.1 * random.normal());
    const zero = new Float64Array(200);
    const width = (groups: readonly string[]): number => {
      const { interval } = pairedBootstrap(a, zero, groups, { replicates: 1000 });
      return interval[1] - interval[0];
    };
    expect(width(count(200).map((i) => `g${i % 20}`))).toBeGreaterThan(2.5 * width(count(200).map(String)));
  });

  it('counts the answers that differ, as McNemar does', () => {
    const answers = (right: number, of: number): boolean[] => count(of).map((i) => i < right);
    expect(mcNemar(answers(5, 9), answers(5, 9))).toBe(1);
    // 6 against 0 discordant: 2 · 2⁻⁶.
    expect(mcNemar(answers(6, 10), answers(0, 10))).toBeCloseTo(2 / 64, 12);
    // 8 against 2 of 10: 2 · (1 + 10 + 45) / 2¹⁰.
    expect(mcNemar([...answers(8, 10), false], [...count(10).map((i) => i >= 8), false])).toBeCloseTo(112 / 1024, 12);
  });

  it('corrects several comparisons as Holm does', () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02].map((p) => expect.closeTo(p, 12)));
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });

  it('refuses what cannot be paired', () => expect(() => pairedBootstrap([1], [1, 2], ['a'])).toThrow(/cannot be paired/));
});
