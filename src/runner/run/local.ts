/** Runs a cell on this machine: a process of its own group, its log by descriptor, its tree ended when it ends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { faultPoint } from '../fault-point.ts';
import { commandLine } from './command-line.ts';
import { EventReader } from './event-reader.ts';
import type { Executor, Job, JobControl, JobOutcome } from './executor.ts';
import { nameEnd } from './exit-cause.ts';
import type { NamedEnd } from './exit-cause.ts';
import { GpuMeter } from './gpu-meter.ts';
import { launchHere } from './launch.ts';
import type { Launched, LaunchRequest } from './launch.ts';
import { appendToLog, logTail } from './log-file.ts';
import { meter } from './meter.ts';
import { outOfMemoryKills } from './process-table.ts';
import { endTree, endWithThisProcess, findTree, groupIsEmpty, pidsSince, signalTree } from './process-tree.ts';
import { RedactStream, redactor, secretValues } from './redact.ts';
import { Spawner, SpawnerLost } from './spawner.ts';
import { stageEnvironment } from './stage-environment.ts';
import { WarmWorkers } from './warm-workers.ts';
import type { Work, WorkerRequest } from './warm-workers.ts';
import { jobFiles, outputPaths, runScript } from './work-folder.ts';
import { lifelineVariable, serveFlag } from './worker-job.ts';
import type { WorkerJob } from './worker-job.ts';
import { writeOver } from './write-over.ts';

export interface LocalExecutorOptions {
  /** The installed package, with dist/stage-worker.js. */
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long a stage that was asked to stop may take, in milliseconds. */
  readonly graceMs?: number;
  /** The worker's program; dist/stage-worker.js of the package unless said. */
  readonly worker?: string;
  /** The program that starts processes; dist/spawn-helper.js of the package unless said. */
  readonly spawnHelper?: string;
  /** Whether typed stages' processes may be kept for further cells. */
  readonly keepWorkers?: boolean;
}

interface Local extends LocalExecutorOptions {
  readonly spawner: Spawner;
  readonly workers: WarmWorkers;
}

export function createLocalExecutor(options: LocalExecutorOptions): Executor {
  const spawner = new Spawner(options.spawnHelper ?? join(options.packageRoot, 'dist', 'spawn-helper.js'));
  const workers = new WarmWorkers();
  const local = { ...options, spawner, workers };
  return {
    name: 'local',
    execute: (job, control) => execute(job, control, local),
    close: async () => void (await Promise.all([spawner.close(), workers.close()])),
  };
}

async function execute(job: Job, control: JobControl, options: Local): Promise<JobOutcome> {
  const argv = argvOf(job, options);
  const environment = stageEnvironment(job, options.environment, options.packageRoot);
  const secrets = secretValues(Object.keys(environment.secret), environment.secret);
  const redact = redactor(secrets);
  const typed = job.cell.action.kind === 'module';
  const files = jobFiles(job.folder);
  const kills = killsLately();
  const started = performance.now();
  const request: LaunchRequest = {
    argv, cwd: files.files, log: job.log, script: { path: files.script, text: runScript(job, argv, environment) }, lifeline: typed,
    environment: { ...environment.plain, ...environment.secret, ...(typed ? { [lifelineVariable]: '3' } : {}) },
  };
  faultPoint('process-starting');
  let output = Promise.resolve();
  let launched: Launched | Work;
  try {
    // What has to be redacted goes through this process.
    if (secrets.length > 0) launched = await launchHere(request, (...streams) => void (output = redactedOutput(streams, secrets, job.log)));
    else if (typed && options.keepWorkers === true && job.grant.gpus.length === 0) launched = await options.workers.begin(workerRequest(job, request));
    else launched = await options.spawner.launch(request);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall?.startsWith('spawn') !== true) {
      // Whoever was to start it may have done so and ended before saying it.
      await endTree({ folder: job.folder, root: null, seen: new Map() });
      if (!(error instanceof SpawnerLost)) throw error;
      return { ...lostEnd(error.message), exitCode: null, cpuSeconds: null, peakMemoryBytes: null, gpu: null, blameless: true };
    }
    return notStarted(error, argv);
  }
  const root = launched.pid;

  faultPoint('process-started');
  const undo = endWithThisProcess({ folder: job.folder, root, seen: new Map() });
  const before = 'firstPid' in launched ? launched : { firstPid: root, secondsBefore: 0 };
  meter.watch(root, before.secondsBefore);
  const gpus = new GpuMeter(job.grant.gpus, options.environment);
  const events = new EventReader(files.events, redact, control.onEvent, control.onNotice);
  const tree = { folder: job.folder, root, seen: meter.seen(root) };
  control.onStarted?.(tree.seen);
  const stopper = new Stopper(tree, control, job.timeoutMs, options.graceMs ?? 30_000);
  const end = await launched.ended;
  const { exitCode, signal, addedSeconds, lost } = end;
  const keep = 'keep' in end ? end.keep : undefined;
  const kept = keep !== undefined;
  const measured = kept ? meter.finished(root) : meter.exited(root, addedSeconds);
  stopper.done();
  faultPoint('process-ended');
  // A short stage that left nothing behind in its group need not be looked for in all of /proc.
  const ranMs = performance.now() - started;
  const groupLives = !kept && !groupIsEmpty(root);
  const others = findTree(tree, groupLives ? undefined : pidsSince(before.firstPid, ranMs, kept)).filter(({ pid }) => !kept || pid !== root);
  if (groupLives || others.length > 0) {
    // A worker that was kept goes with what its stage has left.
    const { ended, left } = await endTree(tree);
    const count = Math.max(others.length, kept ? ended - 1 : ended);
    if (count > 0) appendToLog(job.log, `[pipe] ended ${count === 1 ? 'a process' : `${count} processes`} that the stage left running`);
    if (left.length > 0) control.onNotice?.(`processes that could not be ended: ${left.join(', ')}`);
  } else keep?.();
  undo();
  await output;
  await events.close();
  // Asking is a tenth of a millisecond: only where something has gone wrong.
  const kernelKills = exitCode === 0 ? null : outOfMemoryKills();
  const named = lost !== undefined ? lostEnd(lost) : nameEnd({
    exitCode, signal, stopped: stopper.stopped, timeoutMs: job.timeoutMs,
    outOfMemoryKill: kills !== null && kernelKills !== null && kernelKills > kills,
    tail: exitCode === 0 && stopper.stopped === null ? [] : logTail(job.log, 40),
  });
  // What a typed stage says of its failure is worth more than its exit code.
  const message = named.cause === 'exit' && events.error !== null ? events.error : named.message;
  return {
    ...named, exitCode, message: message === null ? null : redact(message),
    cpuSeconds: moreOf(events.usage?.cpuSeconds ?? null, measured.cpuSeconds),
    peakMemoryBytes: events.usage === null ? measured.peakMemoryBytes : Math.max(events.usage.peakMemoryBytes, measured.peakMemoryBytes ?? 0),
    gpu: gpus.close(), blameless: lost !== undefined,
  };
}

/** Its own word is finer than the kernel's ticks, and leaves out what its children used. */
function moreOf(own: number | null, measured: number | null): number | null {
  if (own === null || measured === null) return own ?? measured;
  return measured > own + 0.02 ? measured : own;
}

let lately: { readonly at: number; readonly kills: number | null } | null = null;

/** As of a second ago at most. */
function killsLately(): number | null {
  const now = performance.now();
  if (lately === null || now - lately.at > 1000) lately = { at: now, kills: outOfMemoryKills() };
  return lately.kills;
}

function argvOf(job: Job, options: LocalExecutorOptions): string[] {
  const { action } = job.cell;
  switch (action.kind) {
    case 'shell':
      return commandLine(action, job.inputs, outputPaths(job.cell, job.folder));
    case 'module': {
      if (job.bundle === null) throw new Error(`${job.cell.id} has no bundled module`);
      const files = jobFiles(job.folder);
      const work: WorkerJob = {
        bundle: job.bundle, cell: job.cell.id, params: job.cell.with, inputs: job.inputs, outputs: outputPaths(job.cell, job.folder),
        declaredInputs: action.inputs, checkpoint: job.checkpoint, cpu: job.grant.cpu, gpus: job.grant.gpus, backend: job.backend,
        projectRoot: job.projectRoot, events: files.events,
      };
      writeOver(files.job, JSON.stringify(work));
      const memory = job.grant.memory === null ? [] : [`--max-old-space-size=${Math.max(64, Math.floor(job.grant.memory / 2 ** 20))}`];
      return [process.execPath, '--enable-source-maps', ...memory, options.worker ?? join(options.packageRoot, 'dist', 'stage-worker.js'), files.job];
    }
    case 'decision':
      throw new Error(`${job.cell.id} is decided by the runner itself`);
  }
}

function workerRequest(job: Job, { argv, ...request }: LaunchRequest): WorkerRequest {
  return {
    launch: { argv: [...argv.slice(0, -1), serveFlag], ...request },
    bundle: job.bundle!,
    order: { job: jobFiles(job.folder).job, log: request.log, cwd: request.cwd, environment: request.environment, stateless: job.stateless },
  };
}

/** With secrets the output goes through this process, which is slower and the only way to keep them out of the file. */
function redactedOutput(outputs: readonly Readable[], secrets: readonly string[], log: string): Promise<void> {
  const streams = outputs.map(
    stream =>
      new Promise<void>(resolve => {
        const clean = stream.pipe(new RedactStream(secrets));
        clean.on('data', (chunk: Buffer) => writeFileSync(log, chunk, { flag: 'a' }));
        clean.once('end', resolve);
        // Whoever kept the pipe open was ended with the tree; what was written before is in it.
        stream.once('error', () => resolve());
      }),
  );
  return Promise.all(streams).then(() => undefined);
}

/** How it ended nobody knows: no reason to trust what it left. */
const lostEnd = (message: string): NamedEnd => ({ ok: false, cause: 'internal', message, signal: null });

function notStarted(error: unknown, argv: readonly string[]): JobOutcome {
  const { code, message } = error as NodeJS.ErrnoException;
  const why =
    code === 'ENOENT' ? `${argv[0]} was not found`
    : code === 'EACCES' ? `${argv[0]} may not be executed`
    : code === 'E2BIG' ? 'the command line is longer than this system allows; read the list of paths from $PIPE_PARAMS or a folder input'
    : message;
  return { ok: false, exitCode: null, signal: null, cause: 'internal', message: `the process could not be started: ${why}`, cpuSeconds: null, peakMemoryBytes: null, gpu: null };
}

/** Asks the tree to end, and ends it when it does not: on request, at the timeout, or at once. */
class Stopper {
  stopped: 'cancelled' | 'killed' | 'timeout' | null = null;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #undo: (() => void)[] = [];
  readonly #tree: { readonly folder: string; readonly root: number; readonly seen: ReadonlyMap<number, string> };
  readonly #graceMs: number;

  constructor(tree: { folder: string; root: number; seen: ReadonlyMap<number, string> }, control: JobControl, timeoutMs: number | null, graceMs: number) {
    this.#tree = tree;
    this.#graceMs = graceMs;
    this.#on(control.signal, () => this.#ask('cancelled'));
    this.#on(control.kill, () => {
      this.stopped ??= 'killed';
      void endTree(this.#tree);
    });
    // Node's timers end at 2^31 milliseconds, some 25 days.
    if (timeoutMs !== null) this.#after(Math.min(timeoutMs, 2 ** 31 - 1), () => this.#ask('timeout'));
  }

  done(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const undo of this.#undo) undo();
  }

  #ask(why: 'cancelled' | 'timeout'): void {
    if (this.stopped !== null) return;
    this.stopped = why;
    signalTree(this.#tree, 'SIGTERM');
    // A stopped process cannot act on a signal before it goes on.
    signalTree(this.#tree, 'SIGCONT');
    this.#after(this.#graceMs, () => void endTree(this.#tree));
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms));
  }

  #on(signal: AbortSignal, act: () => void): void {
    if (signal.aborted) return void queueMicrotask(act);
    signal.addEventListener('abort', act, { once: true });
    this.#undo.push(() => signal.removeEventListener('abort', act));
  }
}
