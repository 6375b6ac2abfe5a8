/**
 * `npm run bench:train`: training steps, decoding and tokenizing of this engine and of PyTorch, Pillow, torchvision and
 * tokenizers in one run, in turn, and the bars beside them. See docs/engine.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { machineFacts } from '../machine.mjs';
import { parseOptions } from '../options.mjs';
import { runCases } from '../run-cases.mjs';
import { trainCases } from './cases.mjs';
import { python } from './places.mjs';
import { endWorkers } from './worker.mjs';

const repository = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const options = parseOptions(process.argv.slice(2), trainCases, {
  command: 'npm run bench:train',
  after: [
    'PIPE_BENCH_PYTHON=PROGRAM   Python with torch, torchvision, pillow, tokenizers, safetensors, clip-anytorch; what it lacks is left out',
    'PIPE_BENCH_THREADS=N        threads of every program; as many as there are cores by default',
    'PIPE_BENCH_JPEGS=FOLDER, PIPE_BENCH_CAPTIONS=FILE   what is decoded and tokenized',
  ].join('\n'),
});

// Inside the repository, so that its packages are found.
const folder = mkdtempSync(join(repository, 'node_modules', '.bench-train-'));
const removed = () => rmSync(folder, { recursive: true, force: true });
try {
  await build({
    entryPoints: [{ in: join(repository, 'test/bench/train/engine.ts'), out: 'engine' }],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning',
  });
  await runCases(options, { pipe: join(repository, 'dist', 'pipe.js'), repository, peer: () => null }, {
    machine: () => ({ ...machineFacts(), peers: { python } }),
    end: () => endWorkers().finally(removed),
    shared: new Map([['engine', join(folder, 'engine.mjs')]]),
  });
} finally {
  removed();
}
