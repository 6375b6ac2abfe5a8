/** Submitting to Slurm and asking how jobs stand: one query for all, whatever their number. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { shellQuote } from '../../pipeline/shell-text.ts';
import type { FailureCause } from '../../store/model.ts';
import type { HostJob, JobState } from '../protocol.ts';
import { jobPaths, writeWhole } from './job-folder.ts';
import type { SlurmRecord } from './job-folder.ts';
import { packJobs, readTasks } from './pack.ts';
import type { Tasks } from './pack.ts';
import { anyPartition, Partitions } from './partitions.ts';
import type { PartitionFacts } from './partitions.ts';

const run = promisify(execFile);
/** Jobs that arrive no later than this after the one before and ask for the same become one array; the first waits no longer than that. */
const gatherMs = 100;
const longestGatherMs = 1000;
const queryMs = 1000;
const largestArray = 1000;
/** A file system between the nodes may show an exit file late. */
const patienceMs = 15_000;

export interface SlurmView {
  readonly state: string;
  readonly reason: string;
  readonly node: string;
}

interface Submission {
  readonly job: HostJob;
  readonly done: (error: Error | null) => void;
}

export class Slurm {
  readonly #folder: string;
  readonly #program: readonly string[];
  readonly #partitions = new Partitions();
  readonly #waiting = new Map<string, Submission[]>();
  #views = new Map<string, SlurmView>();
  #askedAt = -Infinity;
  /** When the query began that has given the views. */
  #viewsAt = -Infinity;
  #asking: Promise<void> | null = null;
  /** Why the last query failed, while it fails. */
  trouble: string | null = null;
  /** When each job was first seen in a state from which nothing follows. */
  readonly #overSince = new Map<string, number>();

  /** `program`: node and the agent. */
  constructor(folder: string, program: readonly string[]) {
    this.#folder = folder;
    this.#program = program;
  }

  /** Resolves when Slurm has the job. `alone`: in a task of its own, whatever the settings say. */
  submit(job: HostJob, { alone = false } = {}): Promise<void> {
    const kind = JSON.stringify([job.slurm, job.resources, job.timeoutMs, alone]);
    return new Promise((resolve, reject) => {
      let batch = this.#waiting.get(kind);
      if (batch === undefined) {
        batch = [];
        this.#waiting.set(kind, batch);
        const own = batch;
        const began = performance.now();
        let seen = 1;
        const look = (): void => {
          if (own.length > seen && own.length < largestArray && performance.now() - began < longestGatherMs) {
            seen = own.length;
            setTimeout(look, gatherMs);
            return;
          }
          if (this.#waiting.get(kind) === own) this.#waiting.delete(kind);
          void this.#send(own, alone);
        };
        setTimeout(look, gatherMs);
      }
      batch.push({ job, done: error => (error === null ? resolve() : reject(error)) });
      if (batch.length >= largestArray) this.#waiting.delete(kind);
    });
  }

  /** The id of a job whose submission was cut short, if Slurm has it. */
  async find(record: SlurmRecord, name: string): Promise<string | null> {
    const tasks = readTasks(this.#folder, record.batch);
    const index = tasks.findIndex(names => names.includes(name));
    const { stdout } = await run('squeue', ['-h', '-r', '-t', 'all', `--name=pipe-${record.batch}`, '-o', '%F']);
    const [id] = stdout.split('\n').filter(line => line !== '');
    return id === undefined || index < 0 ? null : tasks.length === 1 ? id : `${id}_${index}`;
  }

  /** What a task has said that came to nothing before it could begin, such as that a module is not there. */
  withLastWords(message: string, { batch, id }: SlurmRecord): string {
    const task = /_(\d+)$/.exec(id ?? '')?.[1];
    try {
      const last = readFileSync(join(this.#folder, 'batches', batch, task === undefined ? 'out' : `out-${task}`), 'utf8').trim().split('\n').at(-1)!.slice(0, 300);
      return last === '' ? message : `${message}; the last that it said: ${last}`;
    } catch {
      return message;
    }
  }

  /** The other cells of its task. */
  others(record: SlurmRecord, name: string): readonly string[] {
    return (readTasks(this.#folder, record.batch).find(names => names.includes(name)) ?? []).filter(other => other !== name);
  }

  async #send(submissions: readonly Submission[], alone: boolean): Promise<void> {
    const done = new Map(submissions.map(submission => [submission.job, submission.done]));
    const jobs = [...done.keys()];
    const tasks = alone ? jobs.map(job => [job]) : packJobs(this.#folder, jobs);
    for (const array of jobs[0]!.slurm!.array ? [tasks] : tasks.map(task => [task])) {
      const error = await this.#sendTasks(array).then(() => null, (error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      for (const job of array.flat()) done.get(job)!(error);
    }
  }

  async #sendTasks(tasks: readonly (readonly HostJob[])[]): Promise<void> {
    const jobs = tasks.flat();
    const batch = randomBytes(8).toString('hex');
    const folder = join(this.#folder, 'batches', batch);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'tasks.json'), JSON.stringify(tasks.map(task => task.map(({ name }) => name)) satisfies Tasks));
    // Before Slurm has it: whoever comes after a crash finds the submission by its name.
    for (const { name } of jobs) this.#record(name, { batch, id: null });
    const script = join(folder, 'job.sh');
    writeFileSync(script, this.#script(jobs[0]!, batch));
    const many = tasks.length > 1;
    const most = Math.max(...tasks.map(({ length }) => length));
    const { timeoutMs, resources, slurm } = jobs[0]!;
    const facts = (most > 1 && timeoutMs !== null) || resources.gpu === 'prefer' ? await this.#partitions.of(slurm!.options) : anyPartition;
    const { stdout } = await run('sbatch', [
      '--parsable', `--job-name=pipe-${batch}`, `--chdir=${this.#folder}`, `--output=${many ? join(folder, 'out-%a') : join(folder, 'out')}`, '--open-mode=append', '--requeue',
      ...(many ? [`--array=0-${tasks.length - 1}`] : []), ...resourceOptions(jobs[0]!, most, facts), ...jobs[0]!.slurm!.options, script,
    ]).catch((error: unknown) => {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Error(`sbatch refused it: ${(stderr ?? message).trim().replace(/^sbatch: (error: )?/gm, '') || message}`);
    });
    const id = stdout.trim().split(';')[0]!;
    tasks.forEach((task, index) => task.forEach(({ name }) => this.#record(name, { batch, id: many ? `${id}_${index}` : id })));
  }

  #record(name: string, record: SlurmRecord): void {
    writeWhole(jobPaths(this.#folder, name).slurm, JSON.stringify(record));
  }

  #script(job: HostJob, batch: string): string {
    const { modules, container, setup } = job.slurm!;
    const program = [...this.#program, 'supervise', this.#folder, '--batch', batch].map(shellQuote).join(' ');
    return [
      '#!/bin/sh', ...modules.map(name => `module load ${shellQuote(name)} || exit 1`), ...(setup === null ? [] : [setup]),
      `exec ${container === null ? '' : `${container} `}${program} "\${SLURM_ARRAY_TASK_ID:-0}"`, '',
    ].join('\n');
  }

  /** Ends jobs, running or waiting. */
  async cancel(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await run('scancel', [...ids]).catch(() => undefined);
  }

  /** One query for all jobs of this user that this program submitted; at most one a second. */
  async refresh(): Promise<void> {
    if (this.#asking === null && performance.now() - this.#askedAt < queryMs) return;
    this.#asking ??= this.#query().finally(() => void (this.#asking = null));
    await this.#asking;
  }

  async #query(): Promise<void> {
    const began = performance.now();
    this.#askedAt = began;
    try {
      const { stdout } = await run('squeue', ['-h', '-r', '-t', 'all', '-u', userInfo().username, '-o', '%i|%T|%r|%N|%j'], { maxBuffer: 1 << 28 });
      const views = new Map<string, SlurmView>();
      for (const line of stdout.split('\n')) {
        const [id, state, reason, node, name] = line.split('|');
        if (id !== undefined && state !== undefined && name?.startsWith('pipe-') === true) views.set(id, { state, reason: reason ?? '', node: node ?? '' });
      }
      this.#views = views;
      this.#viewsAt = began;
      this.trouble = null;
    } catch (error) {
      // The controller is being restarted, most likely: jobs go on, and so does the asking.
      this.trouble = error instanceof Error ? error.message.split('\n').at(-1)! : String(error);
    }
    this.#askedAt = performance.now();
  }

  view(id: string): SlurmView | null {
    return this.#views.get(id) ?? null;
  }

  /** How it stands by a query that began after `moment`, null when Slurm knows no such job; undefined while there is none. */
  async viewAfter(id: string, moment: number): Promise<SlurmView | null | undefined> {
    await this.refresh();
    return this.#viewsAt < moment ? undefined : this.view(id);
  }

  /** Of a job without an exit file. Null: nothing can be said yet. */
  judge(id: string, running: Extract<JobState, { state: 'running' }> | null): JobState | null {
    const view = this.view(id);
    const still = this.trouble !== null || (view !== null && isGoingOn(view.state));
    if (still) {
      this.#overSince.delete(id);
      if (running !== null && (view === null || isRunning(view.state))) return running;
      return { state: 'waiting', why: this.trouble !== null ? `Slurm does not answer: ${this.trouble}` : `Slurm job ${id}: ${view!.state.toLowerCase()}${view!.reason === 'None' || view!.reason === '' ? '' : ` (${view!.reason})`}` };
    }
    const now = performance.now();
    const since = this.#overSince.get(id);
    if (since === undefined) {
      this.#overSince.set(id, now);
      return null;
    }
    const known = view === null ? null : endOf(id, view) ?? (running !== null && view.state === 'FAILED' ? killedOn(id, running.node) : null);
    // What says by itself how it ended needs no more waiting than one look at the files.
    if (now - since < (known === null ? patienceMs : 1500)) return null;
    if (known !== null) return { state: 'lost', ...known };
    // Of a task of an array that is cancelled before it begins Slurm keeps nothing.
    if (view === null && running === null) return { state: 'lost', cause: 'cancelled', message: `Slurm job ${id} is no longer in the queue and had not begun: it was cancelled by somebody else` };
    return { state: 'lost', cause: 'internal', message: `Slurm job ${id} is gone and has left no exit file` };
  }
}

export const isGoingOn = (state: string): boolean => isRunning(state) || ['PENDING', 'CONFIGURING', 'REQUEUED', 'REQUEUE_HOLD', 'REQUEUE_FED', 'RESIZING', 'SPECIAL_EXIT', 'REVOKED'].includes(state);
const isRunning = (state: string): boolean => ['RUNNING', 'COMPLETING', 'SUSPENDED', 'SIGNALING', 'STAGE_OUT', 'STOPPED'].includes(state);

/** A supervisor ends well however its cell ended: one that has not was killed, and what it ran is ended by Slurm. */
const killedOn = (id: string, node: string): { readonly cause: FailureCause; readonly message: string } => ({ cause: 'preempted', message: `the process of Slurm job ${id} that watched over it on ${node} was killed; what it ran was ended` });

/** Why Slurm ended it, by the state it shows. */
export function endOf(id: string, { state, node }: SlurmView): { readonly cause: FailureCause; readonly message: string } | null {
  const where = node === '' ? '' : ` on ${node}`;
  switch (state) {
    case 'TIMEOUT': case 'DEADLINE': return { cause: 'timeout', message: `Slurm job ${id} came to its time limit` };
    case 'PREEMPTED': return { cause: 'preempted', message: `Slurm job ${id} was preempted` };
    case 'NODE_FAIL': case 'BOOT_FAIL': return { cause: 'preempted', message: `the node of Slurm job ${id} failed${where}` };
    case 'OUT_OF_MEMORY': return { cause: 'oom', message: `Slurm job ${id} used more memory than it had${where}` };
    case 'CANCELLED': return { cause: 'cancelled', message: `Slurm job ${id} was cancelled by somebody else` };
    default: return null;
  }
}

const minutesFor = (ms: number): number => Math.ceil(ms / 60_000) + 2;

/** What a cell asks for, as sbatch says it; time for so many, one after the other, but for one no less than it may take. */
function resourceOptions({ resources, timeoutMs }: HostJob, cells: number, { longestMinutes, gpus: has }: PartitionFacts): string[] {
  const { cpu, memory, gpu } = resources;
  const gpus = gpu === 'prefer' ? Number(has) : Math.ceil(gpu);
  return [
    '--ntasks=1', `--cpus-per-task=${Math.max(1, Math.ceil(cpu))}`, ...(memory === null ? [] : [`--mem=${Math.max(1, Math.ceil(memory / 2 ** 20))}M`]),
    ...(gpus > 0 ? [`--gres=gpu:${gpus}`] : []),
    // Slurm's limit is a net below the timeout that the supervisor keeps: with room for stopping.
    ...(timeoutMs === null ? [] : [`--time=${Math.max(minutesFor(timeoutMs), Math.min(minutesFor(timeoutMs * cells), longestMinutes ?? Number.POSITIVE_INFINITY))}`]),
  ];
}
