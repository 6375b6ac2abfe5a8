import { join } from 'node:path';
import { grid, gridCells } from '../fixtures/grid.mjs';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { expectToRun } from '../plan-counts.mjs';
import { wallOf } from '../statistics.mjs';

const sizes = [500, 1500, 5000, 15_000, 50_000];

/** @type {import('../model.mjs').Case} */
export const planCurve = {
  name: 'plan-curve',
  title: `plan against the number of cells, to ${gridCells(50_000).toLocaleString('en')}`,
  async measure(bench) {
    const empty = project(join(bench.folder, 'empty'), { 'package.json': '{}', 'pipe.yaml': "pipeline: one\nstages:\n  one: { run: ':' }\n" });
    const measured = await interleave([
      { subject: subjectOf(1), command: command(bench), cwd: empty, verify: expectToRun(bench, empty, 1) },
      ...sizes.map(size => {
        const folder = grid(join(bench.folder, String(size)), size);
        return { subject: subjectOf(gridCells(size)), command: command(bench), cwd: folder, verify: expectToRun(bench, folder, gridCells(size)) };
      }),
    ], bench.runs ?? 3, bench.say);
    const start = wallOf(measured, subjectOf(1)) ?? 0;
    const perCell = (/** @type {number} */ size) => ((wallOf(measured, subjectOf(gridCells(size))) ?? 0) - start) / gridCells(size);
    return {
      measured,
      verdicts: [{
        bar: 'linear: a cell of 100,002 costs at most 1.5× a cell of 10,002', value: perCell(50_000) / perCell(5000),
        limit: 1.5, direction: 'at most', unit: '×',
      }],
      notes: [`µs a cell beyond the start of the program: ${sizes.map(size => `${gridCells(size)}: ${(perCell(size) * 1000).toFixed(1)}`).join(', ')}`],
    };
  },
};

/** @param {number} cells */
const subjectOf = cells => `status, ${cells} cells`;

/** @param {import('../model.mjs').Bench} bench */
const command = bench => [process.execPath, bench.pipe, 'status', 'pipe.yaml'];
