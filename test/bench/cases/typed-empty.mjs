import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { wallOf } from '../statistics.mjs';

const cells = 41;

/** @param {boolean} warm  Whether its process may be kept, which is so unless said. */
const stage = warm => `import { z } from 'zod';
import { defineStage } from 'xfolds/stage';

export const stage = defineStage({
  summary: 'Nothing.',
  params: z.object({ i: z.int() }),
  inputs: {},
  outputs: {},${warm ? '' : '\n  warm: false,'}
  async run() {},
});
`;

/** @type {import('../model.mjs').Case} */
export const typedEmpty = {
  name: 'typed-empty',
  title: 'a `uses:` stage with an empty body',
  async measure(bench) {
    const one = contestant(bench, 1, []);
    const serial = contestant(bench, cells, ['-j', '1']);
    const both = contestant(bench, cells, ['-j', '2']);
    const apart = contestant(bench, cells, ['-j', '1'], false);
    const measured = await interleave([one, serial, both, apart], bench.runs ?? 5, bench.say);
    const wall = (/** @type {import('../model.mjs').Contestant} */ { subject }) => wallOf(measured, subject) ?? NaN;
    const more = (/** @type {import('../model.mjs').Contestant} */ many) => (wall(many) - wall(one)) / (cells - 1);
    return {
      measured,
      verdicts: [
        { bar: 'one cell more, one at a time: ≤ 150 ms', value: more(serial), limit: 150, direction: 'at most', unit: 'ms' },
        { bar: 'one cell more, a process for each: ≤ 150 ms', value: more(apart), limit: 150, direction: 'at most', unit: 'ms' },
      ],
      notes: [
        `two at once: ${more(both).toFixed(0)} ms a cell`,
        'the run of one cell holds everything: start, bundling the stage, asking it for its params',
      ],
    };
  },
};

/** @param {import('../model.mjs').Bench} bench @param {number} count @param {readonly string[]} flags @param {boolean} [warm] @returns {import('../model.mjs').Contestant} */
function contestant(bench, count, flags, warm = true) {
  const folder = project(join(bench.folder, [count, ...flags, warm ? '' : 'apart'].join('')), {
    'package.json': '{ "type": "module" }',
    'stages/nothing.ts': stage(warm),
    'pipe.yaml': `pipeline: typed\nstages:\n  cell:\n    uses: nothing\n    matrix: { axes: { i: { from: 1, to: ${count} } } }\n    with: { i: "\${matrix.i}" }\n`,
  });
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(bench.repository, join(folder, 'node_modules', 'xfolds'));
  symlinkSync(join(bench.repository, 'node_modules', 'zod'), join(folder, 'node_modules', 'zod'));
  return {
    subject: ['pipe run', ...flags, `(${count} ${count === 1 ? 'cell' : 'cells'}${warm ? '' : ', a process for each'})`].join(' '),
    command: [process.execPath, bench.pipe, 'run', 'pipe.yaml', ...flags],
    cwd: folder,
    before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
    verify: () => verifyCold(folder, count),
  };
}
