/** Cells of a cluster in a container: a real runtime, whose image has an /etc of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { processesOf } from '../faults/rig/processes.ts';
import { describeWith, startDaemon } from './rig/daemon.ts';
import type { Daemon } from './rig/daemon.ts';
import { cellsOn } from './rig/slurm-cells.ts';
import type { Cells } from './rig/slurm-cells.ts';
import { startSlurmSite } from './rig/slurm-site.ts';
import type { SlurmSite } from './rig/slurm-site.ts';
import { until } from './rig/until.ts';

describeWith(['slurm', 'container'], 'cells of a cluster in a container', () => {
  let site: SlurmSite;
  let runtime: Daemon;
  let container: string;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    [site, runtime] = await Promise.all([startSlurmSite(), startDaemon('container', 0)]);
    container = JSON.stringify(readFileSync(join(runtime.folder, 'command'), 'utf8').trim());
    // The runtime asks for it.
    env = { ...site.env, USER: userInfo().username };
  });
  afterEach(() => site.endJobs());
  afterAll(async () => {
    await Promise.all([site.stop(), runtime.stop()]);
  });

  const name = 'an image of the tests';
  const tellName = 'cat /etc/image-name >> "$WATCH/images" || touch "$WATCH/images"';
  const images = (cells: Cells): string[] => cells.project.read('watch/images').trim().split('\n');

  it('run there, alone and packed, with their checkpoint, log and secrets', async () => {
    expect(existsSync('/etc/image-name')).toBe(false);
    for (const pack of ['', ', pack: 2']) {
      const cells = cellsOn(site, { count: 2, steps: 1, slurm: `container: ${container}${pack}`, first: `${tellName}\n      echo "$TOKEN" | sha256sum` });
      cells.project.write('pipe.yaml', cells.project.read('pipe.yaml').replace('env: { set:', 'env: { secret: [TOKEN], set:'));
      const run = cells.project.start(['run', '--json'], { ...env, TOKEN: 'not to be seen' });
      const { code, stdout, stderr } = await run.finished;
      expect(code, stdout.slice(-2000) + stderr).toBe(0);
      cells.expectRight();
      expect(images(cells)).toEqual([name, name]);
      expect(cells.project.pipe(['logs', 'cell[i=2]'], env).stdout).toMatch(/[0-9a-f]{64}/);
      for (const folder of [site.folder, cells.project.folder]) expect(spawnSync('grep', ['-rl', 'not to be seen', folder], { encoding: 'utf8' }).stdout).toBe('');
      cells.project.remove();
    }
  });

  it('end with all of their processes when they are stopped, and go on from their checkpoint', async () => {
    const cells = cellsOn(site, { count: 1, steps: 8, slurm: `container: ${container}`, first: `${tellName}\n      sleep 600 &` });
    const run = cells.project.start(['run', '--json'], env);
    let seen = '';
    run.stdout!.on('data', (text: string) => void (seen += text));
    await until(() => cells.starts()[0] === 1);
    const steps = join(site.folder, 'checkpoints');
    await until(() => readdirSync(steps).some(key => existsSync(join(steps, key, 'n'))));
    run.kill('SIGINT');
    expect((await run.finished).code, seen.slice(-2000)).toBe(130);
    await until(() => processesOf(site.folder).length === 0);
    const again = await cells.project.start(['run', '--json'], env).finished;
    expect(again.code, again.stdout.slice(-2000)).toBe(0);
    cells.expectRight();
    expect(cells.from(1)[1]).toBeGreaterThan(0);
    expect(images(cells)).toEqual([name, name]);
    cells.project.remove();
  });

  it('whose command is not there fail, and say what was said', async () => {
    const cells = cellsOn(site, { count: 1, steps: 0, slurm: 'container: no-such-runtime exec image.sif' });
    const { code } = await cells.project.start(['run', '--json'], env).finished;
    expect(code).toBe(1);
    expect(cells.project.pipe(['sql', '--format', 'json', 'SELECT message FROM attempt']).stdout).toMatch(/no-such-runtime: not found/);
    cells.project.remove();
  });
});
