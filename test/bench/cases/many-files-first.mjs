import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { initDvc, dvcEnvironment } from '../fixtures/dvc.mjs';
import { project } from '../fixtures/files.mjs';
import { manyFilesDvc, manyFilesPipeline, writeManyFiles } from '../fixtures/many-files.mjs';
import { interleave } from '../interleave.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { settle } from '../settle.mjs';
import { fasterThan } from '../verdict.mjs';

const files = 100_000;

/** @type {import('../model.mjs').Case} */
export const manyFilesFirst = {
  name: 'files-first',
  title: `first run of one stage that reads a folder of ${files.toLocaleString('en')} files`,
  async measure(bench) {
    const folder = project(join(bench.folder, 'both'), { 'package.json': '{}', 'pipe.yaml': manyFilesPipeline, 'dvc.yaml': manyFilesDvc });
    writeManyFiles(folder, files);
    await settle(bench);
    /** @type {import('../model.mjs').Contestant[]} */
    const contestants = [{
      subject: 'pipe run', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder, warmups: 1,
      before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
      verify: () => verifyCold(folder, 1),
    }];
    const dvc = bench.peer('dvc');
    if (dvc !== null) {
      // DVC keeps what it knows of files in a folder for all projects; here it is one that is emptied.
      const site = join(bench.folder, 'dvc-site');
      contestants.push({
        subject: 'dvc repro', command: [dvc, 'repro'], cwd: folder, warmups: 0, atMost: 2,
        env: { ...dvcEnvironment, DVC_SITE_CACHE_DIR: site },
        before: () => {
          for (const name of ['.dvc', 'dvc.lock', 'count.txt', '.dvcignore']) rmSync(join(folder, name), { recursive: true, force: true });
          rmSync(site, { recursive: true, force: true });
          initDvc(folder, dvc);
        },
        verify: sample => {
          if (!sample.output.includes("Running stage 'count'")) throw new Error(`not a first run:\n${sample.output.slice(-1000)}`);
        },
      });
    }
    const measured = await interleave(contestants, bench.runs ?? 3, bench.say);
    return {
      measured,
      verdicts: fasterThan(measured, 'pipe run', 'dvc repro', 8),
      notes: ['both from no cache at all, on files that the system has in memory', ...leftOut(bench, ['dvc'])],
    };
  },
};
