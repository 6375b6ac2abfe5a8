/** Counts of what was tried, printed at the end of each file of the suite. */
import { afterAll } from 'vitest';

const lines: string[] = [];

afterAll(() => {
  if (lines.length > 0) process.stdout.write(`${lines.map(line => `  ${line}`).join('\n')}\n`);
});

/** One line about what was tried, how often, and what came of it. */
export function tell(line: string): void {
  lines.push(line);
}
