/** Counts of what was tried, for the table that ends the suite. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { countsFolder as folder } from './print-counts.ts';
import type { Row } from './print-counts.ts';

const rows: Row[] = [];

afterAll(() => {
  mkdirSync(folder, { recursive: true });
  if (rows.length > 0) writeFileSync(join(folder, `${process.pid}-${Date.now()}.json`), JSON.stringify(rows));
});

/** To be called when all that is claimed was found to be so. */
export function tell(tried: string, came: string, times = 1): void {
  const row = rows.find(other => other.tried === tried && other.came === came);
  if (row) row.times += times;
  else rows.push({ tried, came, times });
}

/** The same of one try: what `work` throws is no count. */
export async function tellOf(tried: string, came: string, work: () => Promise<void>): Promise<void> {
  await work();
  tell(tried, came);
}
