import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { copiesForDvc, copiesForNinja, copiesForPipe, copiesForSnakemake, lastCopy, lastCopyOfPipe } from '../fixtures/copies.mjs';
import { dvcEnvironment } from '../fixtures/dvc.mjs';
import { inFolder } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold, verifyNoOp } from '../pipe-cache.mjs';
import { fasterThan, wallAtMost } from '../verdict.mjs';

/**
 * A run in which nothing is to do, of a chain of copies.
 * @param {number} stages @param {{ readonly seconds: number | null, readonly timesDvc: number }} bars
 * @returns {import('../model.mjs').Case}
 */
export const noOpCopies = (stages, bars) => ({
  name: `noop-${stages}`,
  title: `no-op run, ${stages} stages`,
  async measure(bench) {
    const contestants = [pipeContestant(bench, stages), ...peerContestants(bench, stages)];
    const measured = await interleave(contestants, bench.runs ?? 7, bench.say);
    return {
      measured,
      verdicts: [
        ...(bars.seconds === null ? [] : wallAtMost(measured, 'pipe run', bars.seconds)),
        ...fasterThan(measured, 'pipe run', 'dvc repro', bars.timesDvc),
      ],
      notes: [
        `checked: ${stages} cells ran cold; each timed run added one run row and no attempt`,
        ...leftOut(bench, ['dvc', 'ninja', 'snakemake']),
      ],
    };
  },
});

/** @param {import('../model.mjs').Bench} bench @param {number} stages @returns {import('../model.mjs').Contestant} */
function pipeContestant(bench, stages) {
  const folder = copiesForPipe(join(bench.folder, 'pipe'), stages);
  inFolder(folder, process.execPath, [bench.pipe, 'run', 'pipe.yaml']);
  verifyCold(folder, stages);
  mustExist(lastCopyOfPipe(folder, stages));
  return { subject: 'pipe run', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder, warmups: 2, verify: verifyNoOp(folder, stages) };
}

/** @param {import('../model.mjs').Bench} bench @param {number} stages */
function peerContestants(bench, stages) {
  /** @type {import('../model.mjs').Contestant[]} */
  const contestants = [];
  const dvc = bench.peer('dvc');
  if (dvc !== null) {
    const folder = copiesForDvc(join(bench.folder, 'dvc'), stages, dvc);
    inFolder(folder, dvc, ['repro', '-q']);
    mustExist(lastCopy(folder, stages));
    contestants.push({ subject: 'dvc repro', command: [dvc, 'repro'], cwd: folder, env: dvcEnvironment, verify: mustSay('up to date') });
  }
  const ninja = bench.peer('ninja');
  if (ninja !== null) {
    const folder = copiesForNinja(join(bench.folder, 'ninja'), stages);
    inFolder(folder, ninja, []);
    mustExist(lastCopy(folder, stages));
    contestants.push({ subject: 'ninja', command: [ninja], cwd: folder, verify: mustSay('no work to do') });
  }
  const snakemake = bench.peer('snakemake');
  if (snakemake !== null) {
    const folder = copiesForSnakemake(join(bench.folder, 'snakemake'), stages);
    inFolder(folder, snakemake, ['-c2', '-q', 'all']);
    mustExist(lastCopy(folder, stages));
    contestants.push({ subject: 'snakemake', command: [snakemake, '-c2'], cwd: folder, verify: mustSay('Nothing to be done') });
  }
  return contestants;
}

/** @param {string} path */
function mustExist(path) {
  if (!existsSync(path)) throw new Error(`the cold run made no ${path}`);
}

/** @param {string} text */
const mustSay = text => (/** @type {import('../model.mjs').Sample} */ sample) => {
  if (!sample.output.includes(text)) throw new Error(`not a no-op, it did not say "${text}":\n${sample.output.slice(-1000)}`);
};
