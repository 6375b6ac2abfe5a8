import { describe, expect, test } from 'vitest';
import {
  formatBytes, formatClock, formatDuration, formatEstimate, formatNumber, formatValue, plural,
} from '../../../src/runner/ui/format.ts';

describe('format', () => {
  test.each([
    [0, '0.0 s'], [412, '0.4 s'], [9_949, '9.9 s'], [9_960, '10 s'], [59_400, '59 s'], [59_600, '1 min'], [200_000, '3 min 20 s'],
    [3_599_600, '1 h'], [7_500_000, '2 h 5 min'], [86_400_000, '1 d'], [100_800_000, '1 d 4 h'], [Number.NaN, '?'],
  ])('a duration of %d ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  test.each([[300, '1 s'], [4_200, '4 s'], [42_000, '40 s'], [180_000, '3 min'], [7_200_000, '2 h'], [200_000_000, '2 d']])(
    'an estimate of %d ms is %s', (ms, text) => expect(formatEstimate(ms)).toBe(text));

  test.each([[21_000, '0:21'], [725_000, '12:05'], [11_220_000, '3:07:00'], [-5, '0:00']])('%d ms on a clock is %s', (ms, text) => expect(formatClock(ms)).toBe(text));

  test.each([[0, '0 B'], [812, '812 B'], [4_600, '4.6 KB'], [999_600, '1.0 MB'], [1.3e9, '1.3 GB'], [52e6, '52 MB']])('%d bytes are %s', (n, text) => expect(formatBytes(n)).toBe(text));

  test.each([
    [2.9134, '2.913'], [0.08123, '0.08123'], [1.5e11, '1.5e11'], [12_480, '12,480'], [-12_480, '-12,480'], [12_480.7, '12,481'],
    [0.00001234, '1.234e-5'], [Number.NaN, 'NaN'], [-0.5, '-0.5'], [1, '1'],
  ])('the number %d is shown as %s', (value, text) => expect(formatNumber(value)).toBe(text));

  test('values are shown as people write them', () => {
    expect([formatValue('d32l2'), formatValue(1e9), formatValue(true), formatValue([1e10, 'a'])]).toEqual(['d32l2', '1e9', 'true', '[1e10, a]']);
    expect(formatValue(['cat ', { in: 'x' }, ' > ', { out: 'y' }])).toBe('cat ${in.x} > ${out.y}');
    expect([plural(1, 'cell'), plural(0, 'cell'), plural(4645, 'image')]).toEqual(['1 cell', '0 cells', '4,645 images']);
  });
});
