/** Runs cases one after the other, each in a folder of its own, and prints their tables. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadWarning } from './machine.mjs';
import { caseText } from './table.mjs';
import { jsonOf } from './json.mjs';

/**
 * @param {{ cases: readonly import('./model.mjs').Case[], runs: number | null, json: boolean }} options
 * @param {Omit<import('./model.mjs').Bench, 'folder' | 'runs' | 'say' | 'shared'>} places
 * @param {{ machine: () => import('./machine.mjs').Machine, end: () => Promise<unknown>, shared?: Map<string, unknown> }} hooks
 *   `end` ends what is being measured when the benchmark is interrupted.
 */
export async function runCases(options, places, { machine: facts, end, shared = new Map() }) {
  const say = (/** @type {string} */ text) => void writeSync(2, `${text}\n`);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-bench-')));
  const cleanUp = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  let interrupted = false;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => {
      interrupted = true;
      void end().then(() => {
        cleanUp();
        process.exit(signal === 'SIGINT' ? 130 : 143);
      });
    });
  }

  const warning = loadWarning();
  if (warning !== null) say(warning);
  const entries = [];
  let failed = 0;
  try {
    for (const { name, title, measure } of options.cases) {
      say(`${name}: ${title}`);
      const own = join(folder, name);
      mkdirSync(own);
      try {
        const result = await measure({ ...places, folder: own, runs: options.runs, say, shared });
        entries.push({ name, title, result });
        if (!options.json) console.log(`${caseText({ name, title, result })}\n`);
      } catch (error) {
        if (interrupted) await new Promise(() => {}); // the handler of the signal ends this process
        failed += 1;
        const message = error instanceof Error ? error.message : String(error);
        entries.push({ name, title, error: message });
        if (!options.json) console.log(`${name}: ${title}\n  FAILED   ${message}\n`);
      }
      rmSync(own, { recursive: true, force: true });
    }
  } finally {
    cleanUp();
  }
  const machine = facts();
  if (options.json) console.log(JSON.stringify({ ...jsonOf(entries, machine), warning }, null, 2));
  else console.log(`${warning === null ? '' : `NOTE: at the start ${warning}\n`}${machine.cores} × ${machine.processor}, ${machine.memoryGiB} GiB, ${machine.fileSystem}, ${machine.system}, Node ${machine.node}`);
  // A bar that is missed is a number to read; a case that could not be measured is a failure.
  process.exitCode = failed > 0 ? 1 : 0;
}
