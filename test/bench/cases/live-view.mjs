import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { median } from '../statistics.mjs';

const seconds = 30;
const perSecond = 20;

/** What a training run says: progress, two curves, and a line of log now and then. */
const talker = `import { appendFileSync } from 'node:fs';
const total = ${seconds * perSecond};
for (let step = 1; step <= total; step++) {
  const lines = [{ progress: step / total, step, total, rate: 1820, unit: 'pairs' }, { metric: 'loss', value: 3 / step, step }, { metric: 'learning_rate', value: 1e-3, step }];
  appendFileSync(process.env.PIPE_EVENTS, lines.map(line => JSON.stringify(line) + '\\n').join(''));
  if (step % ${perSecond} === 0) console.log('step', step, 'of', total);
  await new Promise(resolve => setTimeout(resolve, ${1000 / perSecond}));
}
`;

/** @type {import('../model.mjs').Case} */
export const liveView = {
  name: 'live-view',
  title: `the live view of two stages that report ${perSecond * 3} lines a second for ${seconds} s, in a terminal`,
  async measure(bench) {
    const script = ['/usr/bin/script', '/bin/script'].find(existsSync);
    if (script === undefined || process.platform !== 'linux') throw new Error('this needs the `script` of util-linux, to make a terminal');
    const live = contestant(bench, script, 'live', []);
    const plain = contestant(bench, script, 'plain', ['--plain']);
    const measured = await interleave([live, plain], bench.runs ?? 5, bench.say);
    const cpu = measured.map(({ samples }) => median(samples.map(({ userMs, systemMs }) => (userMs ?? NaN) + (systemMs ?? NaN))));
    const wall = median(measured[0]?.samples.map(({ wallMs }) => wallMs) ?? []);
    const share = (((cpu[0] ?? NaN) - (cpu[1] ?? NaN)) / wall) * 100;
    return {
      measured,
      verdicts: [{ bar: 'the live view costs ≤ 3 % of one core', value: share, limit: 3, direction: 'at most', unit: '%' }],
      notes: ['processor time of everything, with the live view less with plain lines, by wall time', 'checked: the one moved the cursor, the other never did; both cells ran'],
    };
  },
};

/** @param {import('../model.mjs').Bench} bench @param {string} script @param {string} name @param {readonly string[]} flags @returns {import('../model.mjs').Contestant} */
function contestant(bench, script, name, flags) {
  const folder = project(join(bench.folder, name), {
    'package.json': '{ "type": "module" }',
    'talk.mjs': talker,
    'pipe.yaml': `pipeline: talk\nstages:\n  train:\n    matrix: { axes: { seed: [1, 2] } }\n    run: ${process.execPath} \${in.talk} \${matrix.seed}\n    in: { talk: ./talk.mjs }\n`,
  });
  return {
    subject: `pipe run, ${name}`,
    command: [script, '-qec', `stty cols 120 rows 40; exec ${process.execPath} ${bench.pipe} run pipe.yaml -j 2 ${flags.join(' ')}`, '/dev/null'],
    cwd: folder, env: { TERM: 'xterm-256color' }, warmups: 0,
    before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
    verify: ({ output }) => {
      verifyCold(folder, 2);
      if (/\u001b\[(?:\d*A|\?25l)/.test(output) !== (name === 'live')) throw new Error(`not ${name}: ${JSON.stringify(output.slice(0, 200))}`);
    },
  };
}
