/** Starts the processes that watch over jobs on this host. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { thisProcess } from '../../run/owner.ts';
import { readProcess } from '../../run/process-table.ts';
import type { HostJob } from '../protocol.ts';
import { jobPaths, readJson, writeWhole } from './job-folder.ts';
import type { JobPaths, Supervisor } from './job-folder.ts';
import type { SupervisorOrder } from './supervise.ts';

type Spawned = ChildProcessByStdio<Writable, null, null>;

export class Supervisors {
  readonly #folder: string;
  readonly #agent: string;
  #spare: Spawned | null = null;

  constructor(folder: string, agent: string) {
    this.#folder = folder;
    this.#agent = agent;
  }

  /** Hands the job to a supervisor, which lives on by itself. `onEnd`: heard of at once, while this process is there. */
  async start(job: HostJob, secrets: Readonly<Record<string, string>>, onEnd: () => void): Promise<void> {
    const child = this.#spare ?? this.#spawn();
    this.#spare = null;
    if (child.pid === undefined) await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.stdin.end(JSON.stringify({ name: job.name, token: job.token, secrets } satisfies SupervisorOrder));
    child.once('exit', onEnd);
    // The next cell's is started meanwhile.
    this.keepSpare();
    const paths = jobPaths(this.#folder, job.name);
    if (child.pid !== undefined && !existsSync(paths.supervisor)) noteChild(job, paths, child.pid);
  }

  /** A supervisor that waits for its order: starting Node takes longer than all else of a short job. It ends with this process. */
  keepSpare(): void {
    if (this.#spare !== null) return;
    const spare = this.#spawn();
    this.#spare = spare;
    spare.once('error', () => this.#dropSpare(spare)).once('exit', () => this.#dropSpare(spare));
  }

  #dropSpare(spare: Spawned): void {
    if (this.#spare === spare) this.#spare = null;
  }

  /** Not a child in any sense that matters: in a session of its own, its output in a file. */
  #spawn(): Spawned {
    const log = openSync(`${this.#folder}/supervisors.log`, 'a', 0o600);
    const child = spawn(process.execPath, [this.#agent, 'supervise', this.#folder], { detached: true, cwd: this.#folder, stdio: ['pipe', log, log] }) as Spawned;
    closeSync(log);
    child.stdin.on('error', () => undefined);
    child.unref();
    return child;
  }
}

/** So that one that dies before it can say who it is counts as dead. */
function noteChild(job: HostJob, paths: JobPaths, pid: number): void {
  const startTime = readProcess(pid)?.startTime ?? '';
  const grant = readJson<Supervisor['grant']>(paths.grant) ?? { cpu: 1, gpus: [], memory: null };
  writeWhole(paths.supervisor, JSON.stringify({ ...thisProcess(), pid, startTime, token: job.token, restart: 0, grant } satisfies Supervisor));
}
