import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../measure.mjs';
import { commitAll, inFolder } from '../fixtures/files.mjs';
import { packagesForPipe, packagesForTurbo, quickNpm } from '../fixtures/packages.mjs';
import { interleave } from '../interleave.mjs';
import { leftOut } from '../peers.mjs';
import { verifyCold, verifyNoOp } from '../pipe-cache.mjs';
import { fasterThan, wallAtMost } from '../verdict.mjs';

const packages = 1000;

/** @type {import('../model.mjs').Case} */
export const noOpPackages = {
  name: 'noop-1000',
  title: 'no-op run, 1,000 stages that read 11 files each',
  async measure(bench) {
    const folder = packagesForPipe(join(bench.folder, 'pipe'), packages);
    inFolder(folder, process.execPath, [bench.pipe, 'run', 'pipe.yaml']);
    verifyCold(folder, packages);
    const pipe = { subject: 'pipe run', command: [process.execPath, bench.pipe, 'run', 'pipe.yaml'], cwd: folder, warmups: 2, verify: verifyNoOp(folder, packages) };
    const measured = await interleave([pipe, ...(await turboContestant(bench))], bench.runs ?? 7, bench.say);
    return {
      measured,
      verdicts: [...wallAtMost(measured, 'pipe run', 0.5), ...fasterThan(measured, 'pipe run', 'turbo run build', 1)],
      notes: [`checked: ${packages} cells ran cold; each timed run added one run row and no attempt`, ...leftOut(bench, ['turbo'])],
    };
  },
};

/** @param {import('../model.mjs').Bench} bench @returns {Promise<import('../model.mjs').Contestant[]>} */
async function turboContestant(bench) {
  const turbo = bench.peer('turbo');
  if (turbo === null) return [];
  const folder = packagesForTurbo(join(bench.folder, 'turbo'), packages);
  const git = bench.peer('git');
  if (git !== null) commitAll(folder, git); // it then takes file hashes from git's index, which is its quick way
  const env = {
    PATH: `${quickNpm(join(bench.folder, 'bin'))}:${process.env.PATH ?? ''}`,
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
  };
  const command = [turbo, 'run', 'build', '--output-logs=none', '--ui=stream'];
  bench.say('  filling the cache of turbo');
  await measure({ command, cwd: folder, env });
  const made = readdirSync(join(folder, 'packages')).filter(name => readdirSync(join(folder, 'packages', name)).includes('dist'));
  if (made.length !== packages) throw new Error(`the cold run of turbo made ${made.length} of ${packages} outputs`);
  return [{
    subject: 'turbo run build', command, cwd: folder, env,
    verify: sample => {
      if (!sample.output.includes(`${packages} cached, ${packages} total`)) throw new Error(`not a no-op:\n${sample.output.slice(-1000)}`);
    },
  }];
}
