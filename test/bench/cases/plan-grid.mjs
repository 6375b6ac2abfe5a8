import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { grid, gridCells } from '../fixtures/grid.mjs';
import { interleave } from '../interleave.mjs';
import { expectToRun } from '../plan-counts.mjs';
import { peakAtMost, wallAtMost } from '../verdict.mjs';

const cells = 10_000;

/** @type {import('../model.mjs').Case} */
export const planGrid = {
  name: 'plan-10000',
  title: `plan of a ${cells.toLocaleString('en')}-cell matrix with evaluate and gather (${gridCells(cells).toLocaleString('en')} cells), whole process`,
  async measure(bench) {
    const folder = grid(join(bench.folder, 'pipe'), cells);
    const command = [process.execPath, bench.pipe, 'status', 'pipe.yaml'];
    const verify = expectToRun(bench, folder, gridCells(cells));
    const first = 'status, file never seen';
    const again = 'status, again';
    const measured = await interleave([
      { subject: first, command, cwd: folder, verify, before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }) },
      { subject: again, command, cwd: folder, verify },
    ], bench.runs ?? 5, bench.say);
    return {
      measured,
      verdicts: [first, again].flatMap(subject => [...wallAtMost(measured, subject, 1), ...peakAtMost(measured, subject, 300)]),
      notes: ['checked: every cell is in the plan, none fresh', '`file never seen` parses YAML and expands; `again` finds the expanded pipeline in the cache'],
    };
  },
};
