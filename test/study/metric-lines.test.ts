import { expect, it } from 'vitest';
import { metricLines } from '../../src/study/metric-lines.ts';

it('writes what JSON cannot hold as texts, and leaves the rest as it is', () => {
  const lines = metricLines([{ metric: 'loss', value: 2.5, step: 3 }, { metric: 'high', value: Infinity }, { metric: 'rate', value: NaN }, { metric: 'low', value: -Infinity }]);
  expect(lines.trimEnd().split('\n').map(line => JSON.parse(line) as unknown)).toEqual([
    { metric: 'loss', value: 2.5, step: 3 },
    { metric: 'high', value: 'Infinity' },
    { metric: 'rate', value: 'NaN' },
    { metric: 'low', value: '-Infinity' },
  ]);
});
