/** What a partition has, as Slurm writes it. */
import { expect, test } from 'vitest';
import { partitionFacts } from '../../../src/runner/remote/agent/partitions.ts';

const sinfo = 'debug|30:00|(null)\nmain*|1-12:30:00|(null)\nmain*|1-12:30:00|shard:4,gpu:a100:4(S:0-1)\nlong|infinite|gpu:2\nhour|1:00:00|shard:8\n\n';

test('of the partition that the options name, else of the default one', () => {
  expect(partitionFacts(sinfo, [])).toEqual({ longestMinutes: 36 * 60 + 30, gpus: true });
  expect(partitionFacts(sinfo, ['--partition=debug'])).toEqual({ longestMinutes: 30, gpus: false });
  expect(partitionFacts(sinfo, ['--partition=debug', '--qos=x', '-p', 'hour'])).toEqual({ longestMinutes: 60, gpus: false });
  expect(partitionFacts(sinfo, ['-pmain'])).toEqual({ longestMinutes: 36 * 60 + 30, gpus: true });
});

test('of several the longest; no limit where one has none, is not known, or nothing was said', () => {
  expect(partitionFacts(sinfo, ['--partition=debug,hour'])).toEqual({ longestMinutes: 60, gpus: false });
  expect(partitionFacts(sinfo, ['--partition=debug,long'])).toEqual({ longestMinutes: null, gpus: true });
  expect(partitionFacts(sinfo, ['--partition=else'])).toEqual({ longestMinutes: null, gpus: true });
  expect(partitionFacts('', [])).toEqual({ longestMinutes: null, gpus: true });
});
