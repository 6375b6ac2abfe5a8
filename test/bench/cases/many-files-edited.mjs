import { join } from 'node:path';
import { inFolder, project } from '../fixtures/files.mjs';
import { editOne, manyFilesPipeline, writeManyFiles } from '../fixtures/many-files.mjs';
import { interleave } from '../interleave.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { settle } from '../settle.mjs';
import { ratioAtMost } from '../verdict.mjs';

const files = 100_000;

/** @type {import('../model.mjs').Case} */
export const manyFilesEdited = {
  name: 'files-edited',
  title: `status after one of ${files.toLocaleString('en')} files was edited`,
  async measure(bench) {
    const folder = project(join(bench.folder, 'pipe'), { 'package.json': '{}', 'pipe.yaml': manyFilesPipeline });
    writeManyFiles(folder, files);
    const run = () => inFolder(folder, process.execPath, [bench.pipe, 'run', 'pipe.yaml']);
    run();
    verifyCold(folder, 1);
    await settle(bench);
    run();
    const command = [process.execPath, bench.pipe, 'status', 'pipe.yaml', '--json'];
    let version = 0;
    const measured = await interleave([
      {
        subject: 'status, unchanged', command, cwd: folder, warmups: 2,
        // What the edit left is made fresh again, and its stat row is old enough to be trusted.
        before: async () => {
          if (version === 0) return;
          await settle(bench);
          run();
        },
        verify: sample => expectCounts(sample.output, { fresh: 1, run: 0 }),
      },
      {
        subject: 'status, one edited', command, cwd: folder, warmups: 1,
        before: () => {
          version += 1;
          editOne(folder, (version * 7919) % files, `edit ${version}`);
        },
        verify: sample => expectCounts(sample.output, { fresh: 0, run: 1 }),
      },
    ], bench.runs ?? 7, bench.say);
    return {
      measured,
      verdicts: ratioAtMost(measured, 'status, one edited', 'status, unchanged', 1.2),
      notes: ['checked: unchanged is 1 fresh, edited is 1 to run; another file each time'],
    };
  },
};

/** @param {string} output @param {{ fresh: number, run: number }} expected */
function expectCounts(output, expected) {
  const { counts } = JSON.parse(output);
  if (counts.fresh !== expected.fresh || counts.run !== expected.run) throw new Error(`status counted ${JSON.stringify(counts)}`);
}
