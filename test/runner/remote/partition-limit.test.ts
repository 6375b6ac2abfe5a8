/** What a partition allows, as Slurm writes it. */
import { expect, test } from 'vitest';
import { longestMinutes } from '../../../src/runner/remote/agent/partition-limit.ts';

const sinfo = 'debug|30:00\nmain*|1-12:30:00\nlong|infinite\nhour|1:00:00\n\n';

test('of the partition that the options name, else of the default one', () => {
  expect(longestMinutes(sinfo, [])).toBe(36 * 60 + 30);
  expect(longestMinutes(sinfo, ['--partition=debug'])).toBe(30);
  expect(longestMinutes(sinfo, ['--partition=debug', '--qos=x', '-p', 'hour'])).toBe(60);
  expect(longestMinutes(sinfo, ['-pmain'])).toBe(36 * 60 + 30);
});

test('of several the longest; none where one has none, is not known, or nothing was said', () => {
  expect(longestMinutes(sinfo, ['--partition=debug,hour'])).toBe(60);
  expect(longestMinutes(sinfo, ['--partition=debug,long'])).toBeNull();
  expect(longestMinutes(sinfo, ['--partition=else'])).toBeNull();
  expect(longestMinutes('', [])).toBeNull();
});
