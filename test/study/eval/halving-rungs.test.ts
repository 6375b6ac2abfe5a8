import { describe, expect, it } from 'vitest';
import { halvingAnswer, rungDecisions, type RungResult } from '../../../src/study/eval/halving-rungs.ts';

const at = (candidate: string, rung: number, score: number | null, stopped = false): RungResult => ({ candidate, rung, score, stopped });
const results = [
  at('a', 10, 3), at('a', 20, null, true),
  at('b', 10, 1), at('b', 20, 0.9),
  at('c', 10, null), at('c', 20, null, true),
  at('d', 10, 1), at('d', 20, 0.5),
];
const options = { metric: 'loss', better: 'lower' } as const;

describe('what a halving did', () => {
  it('is each candidate at each rung that it reached, its place, and why it went on or not', () => {
    const decisions = rungDecisions(results, options);
    expect(decisions.map(({ rung, candidate, place, wentOn }) => [rung, candidate, place, wentOn])).toEqual([
      [10, 'b', 1, true], [10, 'd', 2, true], [10, 'a', 3, false], [10, 'c', null, false],
      [20, 'd', 1, null], [20, 'b', 2, null],
    ]);
    expect(decisions.map(({ why }) => why).slice(2, 5)).toEqual([
      'loss 3.000 is number 3 of 3, and 2 went on', 'it has no loss, and 2 went on', 'loss 0.5000 is number 1 of 2',
    ]);
  });

  it('ranks the highest first where higher is better', () => {
    expect(rungDecisions(results, { ...options, better: 'higher' }).map(({ candidate }) => candidate).slice(0, 3)).toEqual(['a', 'b', 'd']);
  });

  it('says which was best, and when it lies at the edge of what was tried', () => {
    const decisions = rungDecisions(results, options);
    const said = halvingAnswer(decisions, ['a', 'b', 'c', 'd'], { metric: 'loss', subject: 'rates' });
    expect(said).toBe('Of these rates d is best with loss 0.5000, ahead of b with 0.9000; one seed, no interval. It is at the edge of what was tried: a better one may lie beyond. Stopped after 10 a, c.');
    expect(halvingAnswer(decisions, ['a', 'd', 'b', 'c'], { metric: 'loss', subject: 'rates' })).not.toContain('edge');
  });
});
