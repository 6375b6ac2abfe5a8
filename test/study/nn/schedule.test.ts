import { expect, it } from 'vitest';
import { rateAt } from '../../../src/study/nn/schedule.ts';

it('rises to its peak, then falls by half a cosine or a line, or stays', () => {
  const at = (schedule: 'cosine' | 'linear' | 'constant', warmup: number): number[] =>
    [1, 2, 3, 6, 10].map((step) => rateAt(schedule, step, 10, 1, warmup));
  expect(at('constant', 0.2)).toEqual([0.5, 1, 1, 1, 1]);
  expect(at('constant', 0)).toEqual([1, 1, 1, 1, 1]);
  expect(at('linear', 0.2).map((rate) => Number(rate.toFixed(4)))).toEqual([0.5, 1, 0.8889, 0.5556, 0.1111]);
  const cosine = at('cosine', 0.2);
  expect(cosine.slice(0, 2)).toEqual([0.5, 1]);
  expect(cosine[4]).toBeGreaterThan(0);
  expect(cosine[4]).toBeLessThan(0.1);
});
