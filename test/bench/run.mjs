/**
 * `npm run bench`: makes each case's fixture in a temporary folder, runs `pipe` and the peers that are installed in turn,
 * and prints what they took beside the bars. See docs/benchmarks-runner.md.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allCases } from './cases/all.mjs';
import { machineFacts, versionsOf } from './machine.mjs';
import { endRunning } from './measure.mjs';
import { findPeers } from './peers.mjs';
import { parseOptions } from './options.mjs';
import { runCases } from './run-cases.mjs';

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const pipe = join(repository, 'dist', 'pipe.js');
const options = parseOptions(process.argv.slice(2), allCases, {
  command: 'npm run bench',
  after: 'PIPE_BENCH_PEERS=FOLDER:FOLDER are looked through for dvc, ninja, turbo, git and snakemake before PATH is.',
});
if (!existsSync(pipe)) {
  console.error('dist/pipe.js is not there: npm run build makes it');
  process.exit(3);
}
// Where it is set, Node parses a whole list of certificates at every start: twice what the rest of its start takes.
if (process.env.NODE_EXTRA_CA_CERTS !== undefined) {
  console.error('NODE_EXTRA_CA_CERTS is set, which makes every start of Node slower: left out of what is measured');
  delete process.env.NODE_EXTRA_CA_CERTS;
}
const peer = findPeers(process.env);
await runCases(options, { pipe, repository, peer }, { machine: () => ({ ...machineFacts(), peers: versionsOf(peer) }), end: endRunning });
