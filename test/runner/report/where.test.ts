import { describe, expect, test } from 'vitest';
import { conditionHolds, parseConditions } from '../../../src/runner/report/where.ts';
import type { Json } from '../../../src/runner/json.ts';

const holds = (text: string, row: Record<string, Json>): boolean => parseConditions(text).every(condition => conditionHolds(condition, row[condition.column]));

describe('--where', () => {
  const row = { size: 'd32l2', flops: 1e9, loss: 2.9, seed: 10, done: true };
  test.each([
    ['size=d32l2', true], ['size==d32l2', true], ['size = "d32l2"', true], ['size!=d32l2', false], ['size~32', true],
    ['flops=1e9', true], ['flops=1000000000', true], ['loss<3', true], ['loss>=2.9', true], ['loss>2.9', false],
    ['seed<9', false], ['seed>9', true], ['done=true', true], ['loss<3,seed=10', true], ['loss<3 and seed=1', false],
    ['gone=1', false], ['gone!=1', true],
  ])('%s is %s', (text, expected) => expect(holds(text, row)).toBe(expected));

  test('what is no condition is refused with the form of one', () => {
    expect(() => parseConditions('loss')).toThrow(/no condition/);
  });
});
