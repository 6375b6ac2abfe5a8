/**
 * `npm run bench`: makes each case's fixture in a temporary folder, runs `pipe` and the peers that are installed in turn,
 * and prints what they took beside the bars. See docs/benchmarks-runner.md.
 */
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allCases } from './cases/all.mjs';
import { loadWarning, machineFacts } from './machine.mjs';
import { endRunning } from './measure.mjs';
import { findPeers } from './peers.mjs';
import { parseOptions } from './options.mjs';
import { caseText } from './table.mjs';
import { jsonOf } from './json.mjs';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const pipe = join(repository, 'dist', 'pipe.js');
const options = parseOptions(process.argv.slice(2), allCases);
if (options.list) {
  for (const { name, title } of allCases) console.log(`${name.padEnd(20)} ${title}`);
  process.exit(0);
}
if (!existsSync(pipe)) {
  console.error('dist/pipe.js is not there: npm run build makes it');
  process.exit(3);
}

/** @param {string} text */
const say = text => void writeSync(2, `${text}\n`);
const peer = findPeers(process.env);
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-bench-')));
const cleanUp = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
let interrupted = false;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, () => {
    interrupted = true;
    void endRunning().then(() => {
      cleanUp();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    });
  });
}

const warning = loadWarning();
if (warning !== null) say(warning);
const shared = new Map();
const entries = [];
let failed = 0;
try {
  for (const { name, title, measure } of options.cases) {
    say(`${name}: ${title}`);
    const own = join(folder, name);
    mkdirSync(own);
    try {
      const result = await measure({ folder: own, pipe, repository, runs: options.runs, peer, say, shared });
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
const machine = machineFacts(peer);
if (options.json) console.log(JSON.stringify({ ...jsonOf(entries, machine), warning }, null, 2));
else console.log(`${warning === null ? '' : `NOTE: at the start ${warning}\n`}${machine.cores} × ${machine.processor}, ${machine.memoryGiB} GiB, ${machine.fileSystem}, ${machine.system}, Node ${machine.node}`);
// A bar that is missed is a number to read; a case that could not be measured is a failure.
process.exitCode = failed > 0 ? 1 : 0;
