/** Vitest's global set-up of the suite: prints, after the last file, what was tried and how often. */
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Each test file is a process of its own, and so is this: they meet here. */
export const countsFolder = fileURLToPath(new URL('../../../node_modules/.cache/pipe-tests/fault-counts', import.meta.url));

export interface Row {
  readonly tried: string;
  readonly came: string;
  times: number;
}

export function setup(): () => void {
  forgetTold();
  return () => void process.stdout.write(`\n${toldTable()}\n`);
}

/** Forgets what an earlier run of the suite has told. */
function forgetTold(): void {
  rmSync(countsFolder, { recursive: true, force: true });
}

/** What all files have told, as a table in Markdown; empty when nothing was told. */
function toldTable(): string {
  let names: string[];
  try {
    names = readdirSync(countsFolder).sort((a, b) => a.split('-')[1]!.localeCompare(b.split('-')[1]!));
  } catch {
    return '';
  }
  const all = names.flatMap(name => JSON.parse(readFileSync(join(countsFolder, name), 'utf8')) as Row[]);
  const lines = all.map(({ tried, times, came }) => `| ${tried} | ${times} | ${came} |`);
  if (all.length === 0) return '';
  const total = all.reduce((sum, { times }) => sum + times, 0);
  return ['| tried | times | each time |', '|---|---|---|', ...lines, `| **all** | **${total}** | nothing lost |`, ''].join('\n');
}
