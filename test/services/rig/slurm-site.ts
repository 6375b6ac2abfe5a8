/** A cluster on loopback, named in a project's hosts file; its commands are this machine's. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { until } from './until.ts';

export interface SlurmSite {
  readonly daemon: Daemon;
  /** The work folder on the "shared file system". */
  readonly folder: string;
  /** To be given to `pipe`: where Slurm's commands find the cluster. */
  readonly env: Readonly<Record<string, string>>;
  project(pipeline: string, files?: Readonly<Record<string, string>>, more?: string): TestProject;
  /** Runs one of Slurm's commands. */
  command(program: string, ...args: readonly string[]): string;
  /** Ids of jobs and tasks in these states, such as `PENDING,RUNNING`. */
  jobs(states: string): string[];
  /** Cancels what a test that failed has left, and waits until it is gone. */
  endJobs(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSlurmSite(...words: readonly 'cgroup'[]): Promise<SlurmSite> {
  const daemon = await startDaemon('slurm', 2, ...words);
  const folder = mkdtempSync(join(tmpdir(), 'pipe-cluster-'));
  const env = { SLURM_CONF: join(daemon.folder, 'slurm.conf') };
  const command: SlurmSite['command'] = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  const jobs: SlurmSite['jobs'] = states => command('squeue', '-h', '-r', '-t', states, '-o', '%i').split('\n').filter(line => line !== '');
  return {
    daemon, folder, env, command, jobs,
    async endJobs() {
      for (const id of jobs('PENDING,RUNNING')) command('scancel', id);
      await until(() => jobs('PENDING,RUNNING,COMPLETING').length === 0);
    },
    project: (pipeline, files = {}, more = '') => makeProject({
      'package.json': '{}', 'pipe.yaml': `pipeline: p\n${pipeline}`, 'pipe.hosts.yaml': `hosts:\n  lab: { slurm: { partition: main }, folder: ${folder}${more === '' ? '' : `, ${more}`} }\n`, ...files,
    }),
    async stop() {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
