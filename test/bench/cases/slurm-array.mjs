import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../fixtures/free-ports.mjs';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { verifyCold } from '../pipe-cache.mjs';
import { wallOf } from '../statistics.mjs';

const cells = 200;
const slots = 2;
const ideal = cells / slots;
/** Cells a task, as somebody with cells of a second would say it. */
const pack = 20;

const subject = `pipe run, pack: ${pack}`;

/** @param {number} count */
const pipeline = count => `pipeline: array
stages:
  wait:
    on: lab
    matrix: { axes: { i: { from: 1, to: ${count} } } }
    resources: { gpu: 1 }
    run: "sleep 1; : \${matrix.i}"
`;

/**
 * An array of 200 cells of one second, twenty in a task one after the other, each with its record; the node has two GPUs and each job asks for one, so that two run at a time whatever
 * the number of cores. Beside it what Slurm itself takes for such an array.
 * @type {import('../model.mjs').Case}
 */
export const slurmArray = {
  name: 'slurm-array',
  title: `${cells} cells of one second on Slurm, two at a time`,
  async measure(bench) {
    const script = join(bench.repository, 'test/services/daemons/slurm.sh');
    if (spawnSync(script, ['present']).status !== 0) return { measured: [], verdicts: [], notes: ['left out: Slurm is not installed (test/services/setup.sh slurm)'] };
    // The path of a socket lies in it, and may not be long.
    const daemon = mkdtempSync(join(tmpdir(), 'pipe-slurm-'));
    const env = { SLURM_CONF: join(daemon, 'slurm.conf') };
    try {
      execFileSync(script, ['start', daemon, ...(await freePorts(2)).map(String)], { stdio: 'ignore' });
      const hosts = `hosts:\n  lab: { slurm: { partition: main, pack: ${pack} }, folder: ${join(daemon, 'work')} }\n`;
      const warm = project(join(bench.folder, 'warm'), { 'package.json': '{}', 'pipe.yaml': pipeline(2), 'pipe.hosts.yaml': hosts });
      const folder = project(join(bench.folder, 'cells'), { 'package.json': '{}', 'pipe.yaml': pipeline(cells), 'pipe.hosts.yaml': hosts });
      /** @type {import('../model.mjs').Contestant[]} */
      const contestants = [
        {
          subject, command: [process.execPath, bench.pipe, 'run', '--plain'], cwd: folder, env, warmups: 0,
          before() {
            // Node and the programs are sent once to a cluster.
            rmSync(join(warm, 'cache'), { recursive: true, force: true });
            execFileSync(process.execPath, [bench.pipe, 'run', '--plain'], { cwd: warm, env: { ...process.env, ...env }, stdio: 'ignore' });
            rmSync(join(folder, 'cache'), { recursive: true, force: true });
          },
          verify(sample) {
            verifyCold(folder, cells);
            if (sample.wallMs < ideal * 1000) throw new Error('more than two ran at a time');
          },
        },
        {
          subject: 'sbatch --array', cwd: daemon, env, warmups: 0,
          // `--wait` looks every ten seconds: the end is looked for here.
          command: ['bash', '-c', `id=$(sbatch --parsable --gres=gpu:1 --output=/dev/null --array=0-${cells - 1} --wrap 'sleep 1') && while [ -n "$(squeue -h -j $id -t PENDING,RUNNING,COMPLETING)" ]; do sleep 0.2; done`],
        },
      ];
      const measured = await interleave(contestants, bench.runs ?? 1, bench.say);
      const wall = wallOf(measured, subject);
      return {
        measured,
        verdicts: wall === null ? [] : [{ bar: `≤ 1.25× the ideal, ${ideal} s`, value: wall / 1000 / ideal, limit: 1.25, direction: 'at most', unit: '×' }],
        notes: [`checked: ${cells} attempts in the database`, 'sbatch runs `sleep 1` alone, one a task: what of the time is Slurm’s own, and what packing spares'],
      };
    } finally {
      spawnSync(script, ['stop', daemon], { stdio: 'ignore' });
      rmSync(daemon, { recursive: true, force: true });
    }
  },
};
