/** Runs a cell on this machine: a process of its own group, its log by descriptor, its tree ended when it ends. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Socket } from 'node:net';
import { faultPoint } from '../fault-point.ts';
import { commandLine } from './command-line.ts';
import { EventReader } from './event-reader.ts';
import type { Executor, Job, JobOutcome } from './executor.ts';
import { nameEnd } from './exit-cause.ts';
import { GpuMeter } from './gpu-meter.ts';
import { appendToLog, logTail, openLog } from './log-file.ts';
import { meter } from './meter.ts';
import type { Measured } from './meter.ts';
import { outOfMemoryKills } from './process-table.ts';
import { endTree, findTree, groupIsEmpty, pidsSince, signalTree } from './process-tree.ts';
import { RedactStream, redactor, secretValues } from './redact.ts';
import { stageEnvironment } from './stage-environment.ts';
import { jobFiles, outputPaths, writeRunScript } from './work-folder.ts';
import { lifelineVariable } from './worker-job.ts';
import type { WorkerJob } from './worker-job.ts';

export interface LocalExecutorOptions {
  /** The installed package, with dist/stage-worker.js. */
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long a stage that was asked to stop may take, in milliseconds. */
  readonly graceMs?: number;
  /** The worker's program; dist/stage-worker.js of the package unless said. */
  readonly worker?: string;
}

type Control = Parameters<Executor['execute']>[1];

export function createLocalExecutor(options: LocalExecutorOptions): Executor {
  return {
    name: 'local',
    execute: (job, control) => execute(job, control, options),
    async close() {
      // nothing outlives a job
    },
  };
}

async function execute(job: Job, control: Control, options: LocalExecutorOptions): Promise<JobOutcome> {
  const argv = argvOf(job, options);
  const environment = stageEnvironment(job, options.environment, options.packageRoot);
  writeRunScript(job, argv, environment);
  const secrets = secretValues(Object.keys(environment.secret), environment.secret);
  const redact = redactor(secrets);
  const log = openLog(job.log);
  const kills = outOfMemoryKills();
  const started = performance.now();
  const typed = job.cell.action.kind === 'module';
  let child: ChildProcess;
  faultPoint('process-starting');
  try {
    child = spawn(argv[0]!, argv.slice(1), {
      cwd: jobFiles(job.folder).files,
      env: { ...environment.plain, ...environment.secret, ...(typed ? { [lifelineVariable]: '3' } : {}) },
      detached: true,
      // The fourth is a pipe that closes when this process ends, however it ends: a typed stage stops then.
      stdio: ['ignore', ...(secrets.length > 0 ? ['pipe', 'pipe'] as const : [log, log]), typed ? 'pipe' : 'ignore'],
    });
  } catch (error) {
    closeSync(log);
    return notStarted(error, argv);
  }
  const lifeline = child.stdio[3] instanceof Socket ? child.stdio[3] : null;
  lifeline?.on('error', () => undefined);
  lifeline?.unref();
  const output = secrets.length > 0 ? redactedOutput(child, secrets, job.log) : Promise.resolve();
  closeSync(log);
  const root = child.pid;
  if (root === undefined) return notStarted(await new Promise(resolve => child.once('error', resolve)), argv);

  faultPoint('process-started');
  meter.watch(root);
  const gpus = new GpuMeter(job.grant.gpus, options.environment);
  const events = new EventReader(jobFiles(job.folder).events, redact, control.onEvent, control.onNotice);
  const tree = { folder: job.folder, root, seen: meter.seen(root) };
  const stopper = new Stopper(tree, control, job.timeoutMs, options.graceMs ?? 30_000);
  const { exitCode, signal, measured } = await ended(child, root);
  stopper.done();
  faultPoint('process-ended');
  // A short stage that left nothing behind in its group need not be looked for in all of /proc.
  const ranMs = performance.now() - started;
  if (!groupIsEmpty(root) || findTree(tree, pidsSince(root, ranMs)).length > 0) {
    const { ended: count, left } = await endTree(tree);
    if (count > 0) appendToLog(job.log, `[pipe] ended ${count === 1 ? 'a process' : `${count} processes`} that the stage left running`);
    if (left.length > 0) control.onNotice?.(`processes that could not be ended: ${left.join(', ')}`);
  }
  lifeline?.destroy();
  await output;
  await events.close();
  const kernelKills = outOfMemoryKills();
  const named = nameEnd({
    exitCode, signal, stopped: stopper.stopped, timeoutMs: job.timeoutMs,
    outOfMemoryKill: kills !== null && kernelKills !== null && kernelKills > kills,
    tail: exitCode === 0 && stopper.stopped === null ? [] : logTail(job.log, 40),
  });
  // What a typed stage says of its failure is worth more than its exit code.
  const message = named.cause === 'exit' && events.error !== null ? events.error : named.message;
  return {
    ...named, exitCode, message: message === null ? null : redact(message),
    cpuSeconds: events.usage?.cpuSeconds === undefined ? measured.cpuSeconds : Math.max(events.usage.cpuSeconds, measured.cpuSeconds ?? 0),
    peakMemoryBytes: events.usage === null ? measured.peakMemoryBytes : Math.max(events.usage.peakMemoryBytes, measured.peakMemoryBytes ?? 0),
    gpu: gpus.close(),
  };
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
      writeFileSync(files.job, JSON.stringify(work));
      const memory = job.grant.memory === null ? [] : [`--max-old-space-size=${Math.max(64, Math.floor(job.grant.memory / 2 ** 20))}`];
      return [process.execPath, '--enable-source-maps', ...memory, options.worker ?? join(options.packageRoot, 'dist', 'stage-worker.js'), files.job];
    }
    case 'decision':
      throw new Error(`${job.cell.id} is decided by the runner itself`);
  }
}

function ended(child: ChildProcess, root: number): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null; measured: Measured }> {
  return new Promise(resolve => {
    // `exit`, not `close`: a daemon may hold the pipes open for ever.
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal, measured: meter.exited(root) }));
  });
}

/** With secrets the output goes through this process, which is slower and the only way to keep them out of the file. */
function redactedOutput(child: ChildProcess, secrets: readonly string[], log: string): Promise<void> {
  const streams = [child.stdout!, child.stderr!].map(
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

  constructor(tree: { folder: string; root: number; seen: ReadonlyMap<number, string> }, control: Control, timeoutMs: number | null, graceMs: number) {
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
