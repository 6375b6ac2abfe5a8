import { join } from 'node:path';
import { initDvc, dvcEnvironment } from '../fixtures/dvc.mjs';
import { commitAll, inFolder, project } from '../fixtures/files.mjs';
import { manyFilesDvc, manyFilesPipeline, writeManyFiles } from '../fixtures/many-files.mjs';
import { interleave } from '../interleave.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold, verifyNoOp } from '../pipe-cache.mjs';
import { settle } from '../settle.mjs';
import { fasterThan, ratioAtMost } from '../verdict.mjs';

const files = 100_000;

/** @type {import('../model.mjs').Case} */
export const manyFilesUnchanged = {
  name: 'files-unchanged',
  title: `no-op run of one stage that reads a folder of ${files.toLocaleString('en')} files`,
  async measure(bench) {
    const own = project(join(bench.folder, 'pipe'), { 'package.json': '{}', 'pipe.yaml': manyFilesPipeline });
    writeManyFiles(own, files);
    const contestants = [pipeContestant(bench, own), ...gitContestant(bench), ...dvcContestant(bench)];
    await settle(bench);
    const measured = await interleave(contestants, bench.runs ?? 5, bench.say);
    return {
      measured,
      verdicts: [...ratioAtMost(measured, 'pipe run', 'git status', 3), ...fasterThan(measured, 'pipe run', 'dvc repro', 7)],
      notes: ['checked: the cell ran cold once; each timed run added one run row and no attempt', ...leftOut(bench, ['git', 'dvc'])],
    };
  },
};

/** @param {import('../model.mjs').Bench} bench @param {string} folder @returns {import('../model.mjs').Contestant} */
function pipeContestant(bench, folder) {
  inFolder(folder, process.execPath, [bench.pipe, 'run', 'pipe.yaml']);
  verifyCold(folder, 1);
  return { subject: 'pipe run', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder, warmups: 2, verify: verifyNoOp(folder, 1) };
}

/** A tree of its own, as a repository: the same files. @param {import('../model.mjs').Bench} bench @returns {import('../model.mjs').Contestant[]} */
function gitContestant(bench) {
  const git = bench.peer('git');
  if (git === null) return [];
  const folder = project(join(bench.folder, 'git'), { 'readme.txt': 'files\n' });
  writeManyFiles(folder, files);
  commitAll(folder, git);
  return [{
    subject: 'git status', command: [git, 'status'], cwd: folder, warmups: 2,
    verify: sample => {
      if (!sample.output.includes('nothing to commit')) throw new Error(`not clean:\n${sample.output.slice(-1000)}`);
    },
  }];
}

/** @param {import('../model.mjs').Bench} bench @returns {import('../model.mjs').Contestant[]} */
function dvcContestant(bench) {
  const dvc = bench.peer('dvc');
  if (dvc === null) return [];
  const folder = project(join(bench.folder, 'dvc'), { 'dvc.yaml': manyFilesDvc });
  writeManyFiles(folder, files);
  initDvc(folder, dvc);
  bench.say('  the first run of dvc');
  inFolder(folder, dvc, ['repro', '-q']);
  return [{
    subject: 'dvc repro', command: [dvc, 'repro'], cwd: folder, env: dvcEnvironment,
    verify: sample => {
      if (!sample.output.includes('up to date')) throw new Error(`not a no-op:\n${sample.output.slice(-1000)}`);
    },
  }];
}
