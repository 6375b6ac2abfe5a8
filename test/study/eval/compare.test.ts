import { describe, expect, it } from 'vitest';
import { compareRuns } from '../../../src/study/eval/compare.ts';
import { studentT, studentTwoSided } from '../../../src/study/eval/student-t.ts';

describe("Student's t", () => {
  it.each([[1, 12.7062], [2, 4.30265], [4, 2.77645], [9, 2.26216], [30, 2.04227], [1000, 1.96234]])('95 %% lie within the tabled bound for %i degrees of freedom', (freedom, bound) => {
    expect(studentTwoSided(0.95, freedom)).toBeCloseTo(bound, 4);
    expect(studentT(bound, freedom)).toBeCloseTo(0.975, 5);
  });

  it('is symmetric', () => expect(studentT(-1.3, 7) + studentT(1.3, 7)).toBeCloseTo(1, 12));
});

describe('runs against a reference', () => {
  const runs = (...values: number[]) => values.map((value, i) => ({ block: `seed=${i + 1}`, value }));

  it('pairs by block: what seeds have in common drops out', () => {
    const { mean, difference, differenceLow, differenceHigh, p } = compareRuns(runs(1.1, 2.1, 3.1), runs(1, 2, 3));
    expect(mean).toBeCloseTo(2.1, 12);
    expect(difference).toBeCloseTo(0.1, 12);
    expect(differenceHigh - differenceLow).toBeLessThan(1e-9);
    // All are equal, which makes no certainty of three runs: the sign test's 2 · (1/2)³.
    expect(p).toBe(0.25);
  });

  it("gives the paired t test's interval and probability", () => {
    // Differences 1, 2, 3: mean 2, s 1, standard error 1/√3, t = 3.4641 with 2 degrees of freedom.
    const result = compareRuns(runs(1, 2, 3), runs(0, 0, 0));
    expect(result).toMatchObject({ runs: 3, difference: 2 });
    expect(result.differenceLow).toBeCloseTo(2 - 4.30265 / Math.sqrt(3), 4);
    expect(result.p).toBeCloseTo(0.0742, 4);
  });

  it('widens the interval for folds that share their training cases, and not for seeds', () => {
    const width = (overlap: number, folded: boolean): number => {
      const { low, high } = compareRuns(runs(1, 2, 3).map((run, index) => ({ ...run, ...(folded ? { fold: String(index) } : {}) })), [], { overlap });
      return high - low;
    };
    expect(width(0.25, true) / width(0, true)).toBeCloseTo(Math.sqrt((1 / 3 + 0.25) / (1 / 3)), 12);
    expect(width(0.25, false)).toBe(width(0, false));
  });

  it('averages the seeds of a fold before it asks how folds differ', () => {
    // Two seeds in each of three folds: folds differ from the reference by 1, 2, 3 on average, and seeds by ± 10 about that.
    const own = [1, 2, 3].flatMap((mean, fold) => [-10, 10].map((off, seed) => ({ block: `${fold}/${seed}`, fold: String(fold), value: 50 + mean + off })));
    const reference = own.map(({ block, fold }) => ({ block, fold, value: 50 }));
    const result = compareRuns(own, reference, { overlap: 1 / 3 });
    expect(result).toMatchObject({ runs: 6, folds: 3, mean: 52, difference: 2 });
    // s 1 over three folds, (1/3 + 1/3) of its variance, two degrees of freedom.
    expect(result.differenceHigh).toBeCloseTo(2 + 4.30265 * Math.sqrt(2 / 3), 4);
    // One fold's seeds are runs of their own.
    const one = compareRuns(own.filter(({ fold }) => fold === '0'), reference, { overlap: 1 / 3 });
    expect(one).toMatchObject({ runs: 2, folds: 1, difference: 1 });
    expect(one.differenceHigh).toBeCloseTo(1 + 12.7062 * 10, 2);
  });

  it('says NaN, not certainty, where a single run gives no interval', () => {
    // Two equal differences have no t; the sign test says 2 · (1/2)², and 2 · (1/2)⁵ of five.
    expect(compareRuns(runs(0.1, 0.2), runs(0.4, 0.5)).p).toBe(0.5);
    expect(compareRuns(runs(0.1, 0.2, 0.3, 0.4, 0.5), runs(0.2, 0.3, 0.4, 0.5, 0.6)).p).toBe(0.0625);
    expect(compareRuns(runs(0.1, 0.2), runs(0.1, 0.2)).p).toBe(1);
    expect(compareRuns(runs(1), runs(2))).toEqual({ runs: 1, folds: 1, mean: 1, low: NaN, high: NaN, difference: -1, differenceLow: NaN, differenceHigh: NaN, p: NaN });
    expect(compareRuns(runs(1, 2), []).difference).toBeNaN();
  });
});
