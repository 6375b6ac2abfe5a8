import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldsByGroup, splitByFold, splitByGroup } from '../../../src/study/data/splits.ts';

const groupLists = fc.array(fc.integer({ min: 0, max: 40 }).map(n => `PMC${n}`), { minLength: 1, maxLength: 200 });
const shares = fc.record({ validation: fc.double({ min: 0, max: 0.45, noNaN: true }), test: fc.double({ min: 0, max: 0.45, noNaN: true }), seed: fc.integer() });

/** The values that each group's rows got. */
function valuesByGroup<T>(groups: readonly string[], values: readonly T[]): Map<string, Set<T>> {
  const seen = new Map<string, Set<T>>();
  groups.forEach((group, index) => seen.set(group, (seen.get(group) ?? new Set()).add(values[index] as T)));
  return seen;
}

describe('splitByGroup', () => {
  it('never has a group on two sides, whatever the groups, shares and seed', () => {
    fc.assert(fc.property(groupLists, shares, (groups, options) => {
      for (const splits of valuesByGroup(groups, splitByGroup(groups, options)).values()) expect(splits.size).toBe(1);
    }));
  });
  it('depends on the seed and the groups, not on the order of the rows', () => {
    fc.assert(fc.property(groupLists, shares, (groups, options) => {
      const forward = valuesByGroup(groups, splitByGroup(groups, options));
      const back = groups.toReversed();
      expect(valuesByGroup(back, splitByGroup(back, options))).toEqual(forward);
    }));
  });
  it('meets the shares to within one group', () => {
    const groups = Array.from({ length: 5000 }, (_, index) => `g${Math.floor(index / 3)}`);
    const splits = splitByGroup(groups, { validation: 0.1, test: 0.2, seed: 7 });
    expect(Math.abs(splits.filter(split => split === 'test').length - 1000)).toBeLessThan(3);
    expect(Math.abs(splits.filter(split => split === 'validation').length - 500)).toBeLessThan(3);
    expect(splits).not.toEqual(splitByGroup(groups, { validation: 0.1, test: 0.2, seed: 8 }));
  });
  it('refuses shares that leave nothing to train on', () => {
    expect(() => splitByGroup(['a'], { validation: 0.5, test: 0.5, seed: 1 })).toThrow(/less than 1/);
    expect(() => splitByGroup(['a'], { validation: -0.1, test: 0.5, seed: 1 })).toThrow(/at least 0/);
  });
});

describe('folds', () => {
  it('cuts whole groups into parts that differ by at most the largest group', () => {
    fc.assert(fc.property(groupLists, fc.integer({ min: 2, max: 6 }), fc.integer(), (groups, folds, seed) => {
      fc.pre(new Set(groups).size >= folds);
      const parts = foldsByGroup(groups, folds, seed);
      for (const seen of valuesByGroup(groups, parts).values()) expect(seen.size).toBe(1);
      const filled = Array.from({ length: folds }, (_, part) => parts.filter(other => other === part).length);
      const largest = Math.max(...[...new Set(groups)].map(group => groups.filter(other => other === group).length));
      expect(Math.max(...filled) - Math.min(...filled)).toBeLessThanOrEqual(largest);
    }));
  });
  it('tests on each row in exactly one round', () => {
    const groups = Array.from({ length: 97 }, (_, index) => `g${index % 31}`);
    const tested = groups.map(() => 0);
    for (let fold = 0; fold < 5; fold += 1) {
      splitByFold(groups, { folds: 5, fold, seed: 3 }).forEach((split, row) => (tested[row] = (tested[row] ?? 0) + (split === 'test' ? 1 : 0)));
    }
    expect(new Set(tested)).toEqual(new Set([1]));
  });
  it('refuses what cannot be cut', () => {
    expect(() => foldsByGroup(['a', 'b'], 3, 1)).toThrow('2 groups cannot be cut into 3 folds');
    expect(() => splitByFold(['a', 'b', 'c'], { folds: 3, fold: 3, seed: 1 })).toThrow(/from 0 to 2/);
    expect(() => splitByFold(['a', 'b', 'c'], { folds: 2, fold: 0, seed: 1 })).toThrow(/at least 3/);
  });
});
