import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { coldDvc } from '../cold-dvc.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { wallOf } from '../statistics.mjs';

const cells = 1000;

/** @type {import('../model.mjs').Case} */
export const coldShell = {
  name: 'cold-shell-1000',
  title: '1,000 cells of `:`, cold, two at once',
  async measure(bench) {
    const folder = project(join(bench.folder, 'pipe'), {
      'package.json': '{}',
      'pipe.yaml': `pipeline: shell\nstages:\n  cell:\n    matrix: { axes: { i: { from: 1, to: ${cells} } } }\n    run: ': \${matrix.i}'\n`,
    });
    /** @type {import('../model.mjs').Contestant[]} */
    const contestants = [{
      subject: 'pipe run -j 2', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml', '-j', '2'], cwd: folder,
      before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
      verify: () => verifyCold(folder, cells),
    }];
    const ninja = bench.peer('ninja');
    if (ninja !== null) {
      const edges = Array.from({ length: cells }, (_, index) => `build c${index}: cell\n  i = ${index + 1}\n`);
      const own = project(join(bench.folder, 'ninja'), { 'build.ninja': `rule cell\n  command = : $i\n${edges.join('')}` });
      contestants.push({
        subject: 'ninja -j 2', command: [ninja, '-j', '2'], cwd: own,
        before: () => rmSync(join(own, '.ninja_log'), { force: true }),
        verify: sample => {
          if (!sample.output.includes(`[${cells}/${cells}]`)) throw new Error(`ninja did not run all:\n${sample.output.slice(-500)}`);
        },
      });
    }
    const measured = await interleave(contestants, bench.runs ?? 5, bench.say);
    return { measured, verdicts: [...againstNinja(measured), ...(await againstDvc(bench, measured))], notes: [`checked: ${cells} cells ran each time`, ...leftOut(bench, ['ninja', 'dvc'])] };
  },
};

/** @param {readonly import('../model.mjs').Measured[]} measured @returns {import('../model.mjs').Verdict[]} */
function againstNinja(measured) {
  const wall = wallOf(measured, 'pipe run -j 2');
  const ninja = wallOf(measured, 'ninja -j 2');
  if (wall === null || ninja === null) return [];
  return [{ bar: '≤ 3× ninja plus 5 ms a stage', value: wall / 1000, limit: (3 * ninja + 5 * cells) / 1000, direction: 'at most', unit: 's' }];
}

/** @param {import('../model.mjs').Bench} bench @param {readonly import('../model.mjs').Measured[]} measured @returns {Promise<import('../model.mjs').Verdict[]>} */
async function againstDvc(bench, measured) {
  const wall = wallOf(measured, 'pipe run -j 2');
  const dvc = await coldDvc(bench, 200);
  if (wall === null || dvc === null) return [];
  return [{
    bar: '≥ 20× the rate at which dvc runs 200 stages', value: (cells / wall) / (200 / dvc.samples[0].wallMs),
    limit: 20, direction: 'at least', unit: '×',
  }];
}
