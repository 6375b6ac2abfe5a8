/**
 * Processes of typed stages that are kept for further cells of the same stage: what starting costs is paid once. A process serves
 * one cell at a time, and only cells that would have been started in the same way, but for what is each cell's own.
 */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { launchHere } from './launch.ts';
import type { Launched, LaunchRequest, ProcessEnd } from './launch.ts';
import { openLog } from './log-file.ts';
import { lastPid, readProcess } from './process-table.ts';
import { markerVariable } from './process-tree.ts';
import { lifelineVariable } from './worker-job.ts';
import type { WorkerAnswer, WorkerOrder } from './worker-job.ts';
import { writeOver } from './write-over.ts';

/** Memory that nobody counts is held so long at most. */
const idleMs = 2000;
const mostIdle = 16;
/** It has loaded the stage before. */
const loadAgainMs = 10_000;

/** A cell's own; everything else has to be equal. */
const ownVariables = new Set(['PIPE_CELL', 'PIPE_EVENTS', 'PIPE_PARAMS', 'PIPE_CHECKPOINT', markerVariable]);

export interface WorkerRequest {
  /** Starts a serving worker. */
  readonly launch: LaunchRequest;
  readonly bundle: string;
  readonly order: WorkerOrder;
}

export interface WorkEnd extends ProcessEnd {
  /** The process goes on: to be called when it may serve another cell. */
  readonly keep?: () => void;
}

export interface Work {
  readonly pid: number;
  /** Pids given out before the cell began are not of its processes. */
  readonly firstPid: number;
  /** Seconds of processor time that the process had used before. */
  readonly secondsBefore: number;
  readonly ended: Promise<WorkEnd>;
}

export class WarmWorkers {
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();

  /** Rejects as `launchHere` does. */
  async begin({ launch, bundle, order }: WorkerRequest): Promise<Work> {
    const kind = kindOf(launch, bundle);
    for (let worker = this.#take(kind); worker !== null; worker = this.#take(kind)) {
      writeOver(launch.script.path, launch.script.text, 0o755);
      closeSync(openLog(launch.log));
      const work = await worker.again(order);
      if (work !== null) return work;
    }
    const environment = {
      // Not a cell's folder: what looks for a cell's processes by it must not find the one that serves others by now.
      ...launch.environment, [markerVariable]: join(dirname(launch.environment[markerVariable] ?? '/'), 'worker'), [lifelineVariable]: '3',
    };
    const worker: Worker = new Worker(kind, await launchHere({ ...launch, environment }), () => this.#keep(worker));
    this.#all.add(worker);
    void worker.launched.ended.then(() => this.#forget(worker));
    return worker.first(order);
  }

  /** Resolves when all have ended. */
  async close(): Promise<void> {
    await Promise.all([...this.#all].map(worker => worker.dismiss()));
  }

  #keep(worker: Worker): void {
    if (!this.#all.has(worker)) return;
    this.#idle.push(worker);
    worker.rest(idleMs, () => this.#dismiss(worker));
    if (this.#idle.length > mostIdle) this.#dismiss(this.#idle[0]!);
  }

  #take(kind: string): Worker | null {
    const at = this.#idle.findLastIndex(worker => worker.kind === kind);
    return at < 0 ? null : this.#idle.splice(at, 1)[0]!;
  }

  #dismiss(worker: Worker): void {
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    void worker.dismiss();
  }

  #forget(worker: Worker): void {
    this.#all.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

function kindOf({ argv, environment }: LaunchRequest, bundle: string): string {
  return JSON.stringify([bundle, argv, Object.entries(environment).filter(([name]) => !ownVariables.has(name)).sort()]);
}

class Worker {
  readonly kind: string;
  readonly launched: Launched;
  readonly #line: Socket;
  readonly #keep: () => void;
  #listen: (answer: WorkerAnswer) => void = () => undefined;
  #timer: NodeJS.Timeout | null = null;

  constructor(kind: string, launched: Launched, keep: () => void) {
    this.kind = kind;
    this.#keep = keep;
    this.launched = launched;
    this.#line = launched.line!;
    createInterface({ input: this.#line }).on('line', text => this.#listen(JSON.parse(text) as WorkerAnswer));
    this.#line.unref();
  }

  first(order: WorkerOrder): Work {
    return { pid: this.launched.pid, firstPid: this.launched.pid, secondsBefore: 0, ended: this.#send(order).ended };
  }

  /** Null when it has ended, or does not begin: then the cell has not begun either. */
  async again(order: WorkerOrder): Promise<Work | null> {
    if (this.#timer) clearTimeout(this.#timer);
    const { pid } = this.launched;
    const secondsBefore = readProcess(pid)?.cpuSeconds ?? 0;
    const firstPid = lastPid() ?? pid;
    const { begun, ended } = this.#send(order);
    const patience = setTimeout(() => kill(pid), loadAgainMs);
    const has = await Promise.race([begun, ended.then(() => false)]);
    clearTimeout(patience);
    // The account of the process that ends holds its whole life.
    return has ? { pid, firstPid, secondsBefore, ended: ended.then(end => ({ ...end, addedSeconds: null })) } : null;
  }

  /** Waits for more to do, and holds up nobody. */
  rest(ms: number, tired: () => void): void {
    this.#timer = setTimeout(tired, ms).unref();
    this.launched.unref?.();
  }

  async dismiss(): Promise<void> {
    this.launched.ref?.();
    this.#line.destroy();
    await this.launched.ended;
  }

  #send(order: WorkerOrder): { readonly begun: Promise<true>; readonly ended: Promise<WorkEnd> } {
    this.launched.ref?.();
    let begin: (begun: true) => void = () => undefined;
    const begun = new Promise<true>(resolve => void (begin = resolve));
    const done = new Promise<WorkEnd>(resolve => {
      this.#listen = answer => {
        if ('begun' in answer) begin(true);
        // One that is not kept ends by itself now, and that tells more.
        else if (answer.keep) resolve({ exitCode: answer.code, signal: null, addedSeconds: null, keep: this.#keep });
      };
    });
    this.#line.write(`${JSON.stringify(order)}\n`);
    return { begun, ended: Promise.race([done, this.launched.ended]) };
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}
