import { execFileSync } from 'node:child_process';

/**
 * A check, made once, that the plan holds so many cells and that none of them is fresh.
 * @param {import('./model.mjs').Bench} bench @param {string} folder @param {number} cells
 */
export function expectToRun(bench, folder, cells) {
  let checked = false;
  return () => {
    if (checked) return;
    const text = execFileSync(process.execPath, [bench.pipe, 'status', 'pipe.yaml', '--json'], { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 30 });
    const plan = JSON.parse(text);
    const open = plan.counts.run + plan.counts.pending;
    if (open !== cells || plan.counts.fresh !== 0 || plan.cells.length !== cells) {
      throw new Error(`the plan has ${plan.cells.length} cells, ${JSON.stringify(plan.counts)}, and not ${cells} to run`);
    }
    checked = true;
  };
}
