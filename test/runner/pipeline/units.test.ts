import { expect, test } from 'vitest';
import { parseBytes, parseDuration } from '../../../src/runner/pipeline/units.ts';

test.each<[string | number, number | null]>([
  ['20G', 20 * 2 ** 30], ['512M', 512 * 2 ** 20], ['1.5GiB', 1.5 * 2 ** 30], ['100 kB', 102_400], ['7', 7], [7, 7], ['2T', 2 * 2 ** 40], ['12B', 12],
  ['much', null], ['', null], ['-1G', null], [-1, null], [NaN, null], ['1GG', null], ['G', null],
])('%s is %s bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each<[string | number, number | null]>([
  ['6h', 21_600_000], ['30s', 30_000], ['1h30m', 5_400_000], ['1h 30m', 5_400_000], ['250ms', 250], ['2d', 172_800_000], ['1.5m', 90_000], ['90', 90_000], [90, 90_000], [0.5, 500],
  ['', null], ['6 fortnights', null], ['h', null], ['-5s', null], [-5, null], [Infinity, null], ['5s later', null],
])('%s is %s ms', (text, duration) => expect(parseDuration(text)).toBe(duration));
