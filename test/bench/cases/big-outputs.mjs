import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { padded, project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { countsOf, lastRunEnded, verifyCold } from '../pipe-cache.mjs';
import { median } from '../statistics.mjs';
import { ratioAtMost } from '../verdict.mjs';

const files = 1000;
const gigabytes = Number(process.env['PIPE_BENCH_GIGABYTES'] ?? 2);

/** @type {import('../model.mjs').Case} */
export const bigOutputs = {
  name: 'big-outputs',
  title: `${gigabytes} GB of outputs in ${files.toLocaleString('en')} files: commit, restore, get (PIPE_BENCH_GIGABYTES=10 for more)`,
  async measure(bench) {
    checkRoom(bench.folder, 3.2 * gigabytes * 1e9);
    const data = join(bench.folder, 'data');
    writeData(data, Math.round((gigabytes * 1e9) / files));
    const folder = project(join(bench.folder, 'pipe'), {
      'package.json': '{}',
      // The time is written when everything else is: what follows until the end of the run is the commit.
      'pipe.yaml': `pipeline: big\nstages:\n  make:\n    run: cp -R ${data} \${out.files} && ${process.execPath} -p 'Date.now()' > \${out.done}\n    out: { files: files/, done: done.txt }\n`,
    });
    const run = { command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder };
    const out = join(folder, 'cache', 'out', 'big', 'make');
    const got = join(bench.folder, 'got');
    /** @type {number[]} */
    const commits = [];
    const rounds = bench.runs ?? 3;
    const committed = await interleave([
      { subject: 'sha256sum', command: ['sh', '-c', `sha256sum '${data}'/* > /dev/null`], cwd: bench.folder },
      {
        ...run, subject: 'pipe run, cold', warmups: 0,
        before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
        verify: () => {
          verifyCold(folder, 1);
          commits.push(lastRunEnded(folder) - Number(readFileSync(join(out, 'done'), 'utf8')));
        },
      },
    ], rounds, bench.say);
    const later = await interleave([
      {
        ...run, subject: 'pipe run, cache/out deleted',
        before: () => rmSync(join(folder, 'cache', 'out'), { recursive: true, force: true }),
        verify: () => {
          if (!lstatSync(join(out, 'files')).isSymbolicLink() || readdirSync(join(out, 'files')).length !== files) throw new Error('the links were not restored');
          if (countsOf(folder).attempts !== 1) throw new Error('it ran again');
        },
      },
      {
        subject: 'pipe get', command: [process.execPath, bench.pipe, 'get', 'make.files', got, '-f', 'pipe.yaml'], cwd: folder, warmups: 0,
        before: () => clear(got),
        verify: () => expectFiles(got),
      },
      {
        subject: 'cp -R', command: ['cp', '-R', data, got], cwd: folder, warmups: 0,
        before: () => clear(got),
        verify: () => expectFiles(got),
      },
    ], rounds, bench.say);
    const samples = commits.map(wallMs => ({ wallMs, userMs: null, systemMs: null, peakBytes: null, output: '' }));
    const measured = [...committed, { subject: 'the commit of it', samples }, ...later];
    const restore = median(later[0]?.samples.map(({ wallMs }) => wallMs) ?? []) / 1000;
    return {
      measured,
      verdicts: [
        ...ratioAtMost(measured, 'the commit of it', 'sha256sum', 1.3),
        { bar: 'restore ≤ 1 s', value: restore, limit: 1, direction: 'at most', unit: 's' },
        ...ratioAtMost(measured, 'pipe get', 'cp -R', 1.2),
      ],
      notes: [
        'pipe get and cp -R: each with all earlier writes on disk; neither forces its own to disk',
        `${gigabytes} GB; commit: from the end of the command to the end of the run, by the clock; sha256sum reads files that are in memory, and forces nothing to disk`,
        'checked: the cell ran once each time, links lead to all files, nothing ran for the restore, and each copy is whole',
      ],
    };
  },
};

/** The copy before is gone and nothing waits to be written: what one copy leaves to the disk must not be paid by the next. @param {string} copy */
function clear(copy) {
  rmSync(copy, { recursive: true, force: true });
  spawnSync('sync');
}

/** @param {string} folder @param {number} bytes */
function checkRoom(folder, bytes) {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes) throw new Error(`this needs ${(bytes / 1e9).toFixed(0)} GB in ${folder}, and there are ${((bavail * bsize) / 1e9).toFixed(0)}`);
}

/** Files of random bytes, no two alike. @param {string} folder @param {number} size */
function writeData(folder, size) {
  if (existsSync(folder)) throw new Error(`${folder} is there already`);
  mkdirSync(folder);
  const block = randomFillSync(Buffer.alloc(1 << 20));
  for (let index = 0; index < files; index++) {
    const file = openSync(join(folder, `f${padded(index, 4)}`), 'w');
    block.writeUInt32LE(index);
    for (let left = size; left > 0; left -= block.length) writeSync(file, block, 0, Math.min(left, block.length));
    closeSync(file);
  }
}

/** @param {string} folder */
function expectFiles(folder) {
  const { length } = readdirSync(folder);
  if (length !== files) throw new Error(`${folder} has ${length} files, not ${files}`);
}
