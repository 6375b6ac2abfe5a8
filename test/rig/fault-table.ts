/** What was tried how often, and how often it ended right: printed when the tests of a file are through. */
import { afterAll } from 'vitest';

export interface FaultTable {
  /** Notes one try; throws what `work` throws. */
  attempt(fault: string, work: () => Promise<void>): Promise<void>;
}

export function faultTable(title: string): FaultTable {
  const rows = new Map<string, { tried: number; right: number; slowest: number }>();
  afterAll(() => {
    if (rows.size === 0) return;
    const width = Math.max(...[...rows.keys()].map(({ length }) => length));
    const line = (...[fault, ...numbers]: readonly [string, ...string[]]): string => `  ${fault.padEnd(width)}${numbers.map(text => text.padStart(13)).join('')}`;
    const lines = [...rows].map(([fault, { tried, right, slowest }]) => line(fault, String(tried), String(right), (slowest / 1000).toFixed(1)));
    process.stdout.write(`\n${title}\n${[line('', 'tried', 'ended right', 'slowest s'), ...lines].join('\n')}\n`);
  });
  return {
    async attempt(fault, work) {
      const row = rows.get(fault) ?? { tried: 0, right: 0, slowest: 0 };
      rows.set(fault, row);
      row.tried++;
      const before = performance.now();
      try {
        await work();
        row.right++;
      } finally {
        row.slowest = Math.max(row.slowest, performance.now() - before);
      }
    },
  };
}
