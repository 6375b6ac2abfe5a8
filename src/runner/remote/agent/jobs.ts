/** Jobs on this host, from the agent's side: started at most once each, looked at through their folders. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ownerState, thisProcess } from '../../run/owner.ts';
import { endTree } from '../../run/process-tree.ts';
import { jobFiles } from '../../run/work-folder.ts';
import { errorCode } from '../../store/file-bytes.ts';
import { removeTree } from '../../store/read-only-tree.ts';
import type { HostExit, HostJob, JobState, ListedJob } from '../protocol.ts';
import type { FailureCause } from '../../store/model.ts';
import { allot } from './allot.ts';
import { claimName, isBeingStarted, isStillOf, retire, stillStarting, takeOver } from './job-claims.ts';
import { createWhole, jobNames, jobPaths, readExit, readJob, readJson, writeWhole } from './job-folder.ts';
import type { JobPaths, SlurmRecord, Supervisor } from './job-folder.ts';
import { withJobsLock } from './jobs-lock.ts';
import { endOf, isGoingOn, Slurm } from './slurm.ts';
import { Supervisors } from './supervisors.ts';

const retryMs = 200;
/** How long another agent may take to send a cell again. */
const resendMs = 60_000;
/** Ends of a task that are not the doing of cells that it has not come to. */
const resumable: readonly FailureCause[] = ['timeout', 'preempted', 'oom'];

export type Started = { readonly attached: boolean; readonly token: string };

export class Jobs {
  readonly #folder: string;
  readonly #slurm: Slurm;
  readonly #supervisors: Supervisors;
  /** Waiting for resources, or being handed to Slurm, by this agent. */
  readonly #starting = new Map<string, string>();
  readonly #lost = new Map<string, Extract<JobState, { state: 'lost' }>>();
  /** When jobs in Slurm were first seen to have ended by a signal. */
  readonly #askedToEnd = new Map<string, number>();
  /** Called when something may have changed. */
  onChange: () => void = () => undefined;

  constructor(folder: string, agent: string) {
    this.#folder = folder;
    this.#supervisors = new Supervisors(folder, agent);
    this.#slurm = new Slurm(folder, [process.execPath, agent]);
  }

  paths(name: string): JobPaths {
    return jobPaths(this.#folder, name);
  }

  /**
   * Starts the job, or takes part in the one of its name that is there: running, or done and not yet fetched. `anew`: only
   * one that still runs counts.
   */
  async start(job: HostJob, secrets: Readonly<Record<string, string>>, anew: boolean): Promise<Started> {
    for (;;) {
      if (claimName(this.#folder, job)) {
        this.#begin(job, secrets);
        return { attached: false, token: job.token };
      }
      const paths = this.paths(job.name);
      const there = readJob(paths);
      if (there === null) continue;
      if (there.token === job.token) {
        // This attempt's own, after the connection was cut.
        if (!this.#isStarted(paths) && !this.#starting.has(job.name)) {
          if (!(await takeOver(this.#folder, job))) continue;
          this.#begin(job, secrets);
        }
        return { attached: false, token: job.token };
      }
      const state = await this.state(job.name);
      const fetched = existsSync(paths.released);
      if (state === null && !fetched) {
        // How it ended will be known soon, and a failure is not to be taken for this attempt's.
        await new Promise<void>(resolve => setTimeout(resolve, retryMs));
        continue;
      }
      const usable = state?.state === 'running' || (state?.state === 'ended' && state.exit.outcome.ok && !anew && !fetched);
      const waits = state?.state === 'waiting' && state.abandoned !== true;
      if (usable || waits) return { attached: true, token: there.token };
      await retire(this.#folder, there);
    }
  }

  #isStarted(paths: JobPaths): boolean {
    return existsSync(paths.lock) || existsSync(paths.exit) || (readJson<SlurmRecord>(paths.slurm)?.id ?? null) !== null;
  }

  #begin(job: HostJob, secrets: Readonly<Record<string, string>>): void {
    if (this.#starting.has(job.name)) return;
    this.#starting.set(job.name, 'it is being started');
    void (job.slurm === null ? this.#startHere(job, secrets) : this.#startInSlurm(job))
      .catch((error: unknown) => this.#endUnstarted(job, error))
      .finally(() => {
        this.#starting.delete(job.name);
        this.onChange();
      });
  }

  async #startHere(job: HostJob, secrets: Readonly<Record<string, string>>): Promise<void> {
    const paths = this.paths(job.name);
    for (;;) {
      if (existsSync(paths.cancel)) throw new Cancelled();
      const allotted = await allot(this.#folder, job);
      if ('never' in allotted) throw new Error(allotted.never);
      if ('grant' in allotted) break;
      this.#starting.set(job.name, allotted.wait);
      stillStarting(paths);
      await new Promise<void>(resolve => setTimeout(resolve, retryMs));
    }
    await this.#supervisors.start(job, secrets, () => this.onChange());
  }

  /** For a job that is about to come. */
  keepSpare(): void {
    this.#supervisors.keepSpare();
  }

  async #startInSlurm(job: HostJob): Promise<void> {
    const paths = this.paths(job.name);
    const record = readJson<SlurmRecord>(paths.slurm);
    if (record !== null) {
      // Submitted by an agent that was cut off before it could write down the number.
      const id = record.id ?? (await this.#slurm.find(record, job.name));
      if (id !== null) {
        writeWhole(paths.slurm, JSON.stringify({ ...record, id }));
        return;
      }
    }
    await this.#slurm.submit(job);
  }

  async #endUnstarted(job: HostJob, error: unknown): Promise<void> {
    const cancelled = error instanceof Cancelled;
    const full = errorCode(error) === 'ENOSPC';
    const exit: HostExit = {
      token: job.token, outputs: null, grant: { cpu: 0, gpus: [], memory: null }, node: hostname(), ranMs: 0,
      outcome: {
        ok: false, exitCode: null, signal: null, cpuSeconds: null, peakMemoryBytes: null, gpu: null, cause: cancelled ? 'cancelled' : full ? 'disk-full' : 'internal',
        message: cancelled ? 'stopped on request, before it had started' : error instanceof Error ? error.message : String(error),
      },
    };
    await withJobsLock(this.#folder, () => {
      if (isStillOf(this.#folder, job)) writeWhole(this.paths(job.name).exit, JSON.stringify(exit));
    });
  }

  /** `elsewhere`: what to say when another agent is starting it. When none is, somebody has to take it over. */
  #waiting(name: string, elsewhere: string): JobState {
    const why = this.#starting.get(name);
    if (why !== undefined) return { state: 'waiting', why };
    return isBeingStarted(this.paths(name)) ? { state: 'waiting', why: elsewhere } : { state: 'waiting', why: 'whoever was starting it is gone', abandoned: true };
  }

  /** Null while nothing can be said for sure. */
  async state(name: string): Promise<JobState | null> {
    const paths = this.paths(name);
    const record = readJson<SlurmRecord>(paths.slurm);
    const exit = readExit(paths);
    if (exit === null) this.#askedToEnd.delete(name);
    else {
      const ended = record === null ? exit : await this.#endInSlurm(name, record, exit);
      if (ended !== null) return { state: 'ended', exit: ended };
    }
    const supervisor = readJson<Supervisor>(paths.supervisor);
    const running = supervisor === null ? null : ({ state: 'running', node: supervisor.host, grant: supervisor.grant } as const);
    if (record !== null) {
      const sending = this.#starting.get(name);
      if (record.id === null || sending !== undefined) return this.#waiting(name, 'it is being submitted');
      await this.#slurm.refresh();
      const judged = this.#slurm.judge(record.id, running);
      if (judged?.state !== 'lost') return judged;
      if (readExit(paths) !== null) return null;
      if (running !== null) return judged;
      return this.#sendAgain(name, record, judged.cause === 'internal' ? { ...judged, message: this.#slurm.withLastWords(judged.message, record) } : judged);
    }
    if (running === null || supervisor === null) return this.#waiting(name, 'another run is starting it');
    if (ownerState(supervisor) !== 'dead') return running;
    const late = readExit(paths);
    if (late !== null) return { state: 'ended', exit: late };
    return await this.#lostHere(name, supervisor);
  }

  /**
   * The task that was to run it after others is over, and did not come to it: it is sent again, in a task of its own. One
   * that was alone in its task, or whose task somebody has cancelled, is lost.
   */
  #sendAgain(name: string, record: SlurmRecord, lost: Extract<JobState, { state: 'lost' }>): JobState | null {
    const paths = this.paths(name);
    const others = this.#slurm.others(record, name);
    // What Slurm has forgotten, and whose first cell had begun, nobody had cancelled before it began.
    const forgotten = this.#slurm.view(record.id!) === null && others.some(other => existsSync(this.paths(other).supervisor));
    const job = readJob(paths);
    if (others.length === 0 || job === null || !(resumable.includes(lost.cause) || forgotten)) return lost;
    const mark = join(paths.folder, 'sent-again');
    if (!createWhole(mark, '')) {
      // By another agent, whose record will be there soon, unless it died.
      const age = Date.now() - (statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      return age < resendMs ? null : lost;
    }
    this.#starting.set(name, `it is sent again: ${lost.message} before its turn came`);
    void this.#slurm.submit(job, { alone: true })
      .catch((error: unknown) => this.#endUnstarted(job, error))
      .finally(() => {
        this.#starting.delete(name);
        this.onChange();
      });
    return { state: 'waiting', why: this.#starting.get(name)! };
  }

  /** Ends what the dead supervisor has left, once. */
  async #lostHere(name: string, supervisor: Supervisor): Promise<JobState> {
    const known = this.#lost.get(supervisor.token);
    if (known !== undefined) return known;
    const rebooted = supervisor.bootId !== thisProcess().bootId;
    const { left } = await endTree({ folder: this.paths(name).work, root: null, seen: new Map() });
    const lost = {
      state: 'lost', cause: 'preempted',
      message: rebooted ? `${supervisor.host} was restarted while it ran` : `the process that watched over it on ${supervisor.host} was killed; what it ran was ended${left.length > 0 ? `, but for ${left.join(', ')}` : ''}`,
    } as const;
    this.#lost.set(supervisor.token, lost);
    return lost;
  }

  /**
   * The supervisor only saw a signal; Slurm knows what it was for: an end, which it names, or a requeue, after which the job
   * runs again. Null while Slurm has not said.
   */
  async #endInSlurm(name: string, record: SlurmRecord, exit: HostExit): Promise<HostExit | null> {
    if (record.id === null || exit.certain === true || exit.outcome.cause !== 'preempted') return exit;
    let since = this.#askedToEnd.get(name);
    if (since === undefined) this.#askedToEnd.set(name, (since = performance.now()));
    const view = await this.#slurm.viewAfter(record.id, since);
    if (view === undefined || (view !== null && isGoingOn(view.state))) return null;
    const known = view === null ? null : endOf(record.id, view);
    return known === null ? exit : { ...exit, outcome: { ...exit.outcome, ...known } };
  }

  /** Asks it to stop, or ends it. False when another cache's driver started it. */
  async cancel(name: string, owner: string | null, kill: boolean): Promise<boolean> {
    const paths = this.paths(name);
    const job = readJob(paths);
    if (job === null) return true;
    if (owner !== null && job.owner !== owner) return false;
    writeFileSync(paths.cancel, kill ? 'kill' : 'ask');
    const record = readJson<SlurmRecord>(paths.slurm);
    const supervisor = readJson<Supervisor>(paths.supervisor);
    if (record !== null) {
      // Not begun, or requeued and not begun again.
      const waits = (): boolean => readJson(paths.supervisor) === null || readExit(paths)?.outcome.cause === 'preempted';
      if (waits() && record.id !== null) {
        // Others of its task go on: the task passes over what has ended.
        const needed = this.#slurm.others(record, name).some(other => readJson<SlurmRecord>(this.paths(other).slurm)?.batch === record.batch && readExit(this.paths(other)) === null);
        if (!needed) await this.#slurm.cancel([record.id]);
        if (waits()) await this.#endUnstarted(job, new Cancelled());
      }
    } else if (supervisor !== null && ownerState(supervisor) === 'alive') {
      try {
        process.kill(supervisor.pid, kill ? 'SIGUSR2' : 'SIGTERM');
      } catch {
        // it has just ended
      }
    } else if (supervisor === null && !this.#starting.has(name) && !isBeingStarted(paths)) {
      await this.#endUnstarted(job, new Cancelled());
    }
    return true;
  }

  release(name: string, token: string): void {
    const paths = this.paths(name);
    if (readJob(paths)?.token !== token) return;
    writeFileSync(paths.released, '');
    if (readExit(paths)?.outcome.ok !== true) return; // to be entered and run by hand
    // What it wrote besides its outputs is of no use to anybody but the events: another driver may be reading those still.
    for (const name of readdirSync(paths.work)) if (join(paths.work, name) !== jobFiles(paths.work).events) removeTree(join(paths.work, name));
  }

  async list(): Promise<ListedJob[]> {
    const listed: ListedJob[] = [];
    for (const name of jobNames(this.#folder)) {
      const job = readJob(this.paths(name));
      if (job === null) continue;
      const state = (await this.state(name)) ?? ({ state: 'waiting', why: 'its end is not clear yet' } as const);
      const detail = state.state === 'waiting' ? state.why : state.state === 'running' ? `on ${state.node}` : state.state === 'lost' ? state.message : (state.exit.outcome.message ?? 'done');
      listed.push({ name, cell: job.cell.id, owner: job.owner, ownerText: job.ownerText, token: job.token, state: state.state, detail, ok: state.state === 'ended' && state.exit.outcome.ok, released: existsSync(this.paths(name).released) });
    }
    return listed;
  }

  prepare(): void {
    for (const folder of ['jobs', 'checkpoints', 'batches']) mkdirSync(`${this.#folder}/${folder}`, { recursive: true });
  }
}

class Cancelled extends Error {
  override readonly name = 'Cancelled';
}
