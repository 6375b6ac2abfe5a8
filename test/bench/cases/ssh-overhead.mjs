import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../fixtures/files.mjs';
import { withSshd } from '../fixtures/ssh.mjs';
import { interleave } from '../interleave.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { wallOf } from '../statistics.mjs';

const pipeline = 'pipeline: second\nstages:\n  wait:\n    run: sleep 1; echo done > ${out.o}\n    out: { o: o.txt }\n';

/** @type {import('../model.mjs').Case} */
export const sshOverhead = {
  name: 'ssh-overhead',
  title: 'a stage of one second on a host over ssh, host warm, and here',
  measure: bench => withSshd(bench, async ({ hosts }) => {
    /** @param {string} name @param {readonly string[]} flags @returns {import('../model.mjs').Contestant} */
    const contestant = (name, flags) => {
      const folder = project(join(bench.folder, name), { 'package.json': '{}', 'pipe.yaml': pipeline, 'pipe.hosts.yaml': hosts });
      return {
        subject: ['pipe run', ...flags].join(' '), command: [process.execPath, bench.pipe, 'run', 'pipe.yaml', ...flags], cwd: folder, warmups: 2,
        before: () => rmSync(join(folder, 'cache'), { recursive: true, force: true }),
        verify: sample => {
          verifyCold(folder, 1);
          if (sample.wallMs < 1000) throw new Error('it did not wait for a second');
        },
      };
    };
    const [here, there] = [contestant('here', []), contestant('there', ['--on', 'box'])];
    const measured = await interleave([here, there], bench.runs ?? 7, bench.say);
    const extra = ((wallOf(measured, there.subject) ?? NaN) - (wallOf(measured, here.subject) ?? NaN)) / 1000;
    return {
      measured,
      verdicts: [{ bar: 'more than here: ≤ 0.6 s', value: extra, limit: 0.6, direction: 'at most', unit: 's' }],
      notes: ['each run makes its own connection, runs the stage anew there, and brings its output here'],
    };
  }),
};
