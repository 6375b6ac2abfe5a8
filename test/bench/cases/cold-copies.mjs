import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { coldDvc } from '../cold-dvc.mjs';
import { copiesForNinja, copiesForPipe, lastCopyOfPipe, lastCopy, startText } from '../fixtures/copies.mjs';
import { interleave } from '../interleave.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { fasterThan } from '../verdict.mjs';

const stages = 200;

/** @type {import('../model.mjs').Case} */
export const coldCopies = {
  name: 'cold-copies-200',
  title: '200 stages of `cp`, each after the one before, cold',
  async measure(bench) {
    const folder = copiesForPipe(join(bench.folder, 'pipe'), stages);
    /** @type {import('../model.mjs').Contestant[]} */
    const contestants = [{
      subject: 'pipe run', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder,
      before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
      verify: () => {
        verifyCold(folder, stages);
        if (readFileSync(lastCopyOfPipe(folder, stages), 'utf8') !== startText) throw new Error('the last copy is not the first file');
      },
    }];
    const ninja = bench.peer('ninja');
    if (ninja !== null) {
      const own = join(bench.folder, 'ninja');
      contestants.push({
        subject: 'ninja', command: [ninja], cwd: own,
        before: () => void copiesForNinja(own, stages),
        verify: () => void readFileSync(lastCopy(own, stages)),
      });
    }
    const dvc = await coldDvc(bench, stages);
    const measured = [...(await interleave(contestants, bench.runs ?? 5, bench.say)), ...(dvc === null ? [] : [dvc])];
    return {
      measured,
      verdicts: fasterThan(measured, 'pipe run', 'dvc repro', 25),
      notes: [`checked: ${stages} cells ran each time, and the last copy has the first file's bytes`, ...leftOut(bench, ['ninja', 'dvc'])],
    };
  },
};
