/**
 * Several short cells in one task of Slurm, one after the other: starting a task takes Slurm about half a second, whatever
 * it does. Each cell has its own supervisor, as if it were alone.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { endTree } from '../../run/process-tree.ts';
import { sha256 } from '../../store/file-bytes.ts';
import type { HostExit, HostJob } from '../protocol.ts';
import { jobPaths, readExit, readJob, readJson, writeWhole } from './job-folder.ts';
import type { SlurmRecord, Supervisor } from './job-folder.ts';
import type { SupervisorOrder } from './supervise.ts';

/** What `auto` fills a task with. */
const taskMs = 15_000;
const mostInTask = 100;
/** How much of what a stage took before is believed of its next cell, so that one quick cell does not make all seem quick. */
const fading = 0.8;

/** Names of jobs by task. */
export type Tasks = readonly (readonly string[])[];

/** One name stood for its task before tasks held several. */
export function readTasks(folder: string, batch: string): Tasks {
  return (readJson<readonly (string | readonly string[])[]>(join(folder, 'batches', batch, 'tasks.json')) ?? []).map(task => [task].flat());
}

/** Jobs that ask for the same, by task: as even as can be. */
export function packJobs(folder: string, jobs: readonly HostJob[]): HostJob[][] {
  const tasks: HostJob[][] = [];
  const stages = new Map<string, HostJob[]>();
  for (const job of jobs) {
    const file = durationFile(job);
    const stage = stages.get(file);
    if (stage === undefined) stages.set(file, [job]);
    else stage.push(job);
  }
  for (const stage of stages.values()) {
    const most = largest(folder, stage[0]!);
    const count = Math.ceil(stage.length / most);
    for (let task = 0; task < count; task++) tasks.push(stage.slice(Math.round((task * stage.length) / count), Math.round(((task + 1) * stage.length) / count)));
  }
  return tasks;
}

function largest(folder: string, job: HostJob): number {
  const pack = job.slurm?.pack ?? 1;
  if (pack !== 'auto') return pack;
  const known = readJson<{ readonly ms: number }>(join(folder, 'durations', durationFile(job)));
  // How long an unknown cell takes nobody knows: hours, maybe.
  return known === null ? 1 : Math.min(mostInTask, Math.max(1, Math.floor(taskMs / Math.max(1, known.ms))));
}

const durationFile = ({ owner, cell }: HostJob): string => `${sha256(`${owner} ${cell.id.split('[')[0]!}`).slice(0, 32)}.json`;

/** Time in the queue is not in it, which the results database has. */
export function noteDuration(folder: string, job: HostJob, ranMs: number): void {
  const file = join(folder, 'durations', durationFile(job));
  mkdirSync(join(folder, 'durations'), { recursive: true });
  const before = readJson<{ readonly ms: number }>(file)?.ms ?? 0;
  writeWhole(file, JSON.stringify({ ms: Math.max(ranMs, before * fading) }));
}

/** Runs the cells of one task. What has ended before a requeue, was sent again elsewhere or is cancelled is passed over. */
export async function runPack({ folder, program, batch, names }: { readonly folder: string; readonly program: string; readonly batch: string; readonly names: readonly string[] }): Promise<void> {
  let asked = false;
  let current: ChildProcess | null = null;
  process.on('SIGTERM', () => {
    asked = true;
    current?.kill('SIGTERM');
  });
  const prepare = (): ChildProcess => {
    const child = spawn(process.execPath, [program, 'supervise', folder], { cwd: folder, stdio: ['pipe', 'inherit', 'inherit'] });
    child.stdin!.on('error', () => undefined);
    child.on('error', () => undefined);
    return child;
  };
  const isDue = (name: string): boolean => {
    const paths = jobPaths(folder, name);
    const exit = readExit(paths);
    return readJson<SlurmRecord>(paths.slurm)?.batch === batch && (exit === null || (exit.outcome.cause === 'preempted' && exit.certain !== true));
  };
  // Starting Node takes longer than all else of a short cell: the next one's is started meanwhile.
  let spare = prepare();
  for (const [index, name] of names.entries()) {
    if (asked) break;
    if (!isDue(name)) continue;
    const child = spare.exitCode === null && spare.signalCode === null ? spare : prepare();
    current = child;
    const over = new Promise<void>(resolve => void child.once('exit', () => resolve()).once('error', () => resolve()));
    child.stdin!.end(JSON.stringify({ name, token: null, secrets: null } satisfies SupervisorOrder));
    if (index < names.length - 1) spare = prepare();
    await over;
    current = null;
    if (!asked) await tellKilled(folder, name);
  }
  spare.stdin!.end();
}

/** A supervisor that was killed has told no end: told at once, since those of the other cells go on, and the task with them. */
async function tellKilled(folder: string, name: string): Promise<void> {
  const paths = jobPaths(folder, name);
  const job = readJob(paths);
  const supervisor = readJson<Supervisor>(paths.supervisor);
  if (job === null || supervisor === null || supervisor.token !== job.token || readExit(paths) !== null) return;
  const { left } = await endTree({ folder: paths.work, root: null, seen: new Map() });
  const exit: HostExit = {
    token: job.token, outputs: null, grant: supervisor.grant, node: hostname(), ranMs: 0, certain: true,
    outcome: {
      ok: false, exitCode: null, signal: null, cpuSeconds: null, peakMemoryBytes: null, gpu: null, cause: 'preempted',
      message: `the process that watched over it on ${hostname()} was killed; what it ran was ended${left.length > 0 ? `, but for ${left.join(', ')}` : ''}`,
    },
  };
  writeWhole(paths.exit, JSON.stringify(exit));
}
