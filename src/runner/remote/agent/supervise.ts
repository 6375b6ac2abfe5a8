/**
 * The process that watches over one job on the host: it runs the stage as the local executor does, and lives on when the
 * connection, the agent and the driver are gone. What it has to say it writes into the job's folder.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import type { Grant, Job, JobOutcome } from '../../run/executor.ts';
import { createLocalExecutor } from '../../run/local.ts';
import { thisProcess } from '../../run/owner.ts';
import { secretValues, starOut } from '../../run/redact.ts';
import { createWorkFolder, jobFiles, outputPaths } from '../../run/work-folder.ts';
import { errorCode } from '../../store/file-bytes.ts';
import type { Artefact, Key } from '../../store/model.ts';
import { PipeError } from '../../diagnostic.ts';
import type { HostExit, HostJob } from '../protocol.ts';
import { artefactsOf } from './artefacts-of.ts';
import { checkpointFolder, placeCheckpoint } from './checkpoints.ts';
import { HostStore } from './host-store.ts';
import { createWhole, jobPaths, readExit, readJob, readJson, writeWhole } from './job-folder.ts';
import type { JobPaths, Supervisor } from './job-folder.ts';
import { jobInputsHere } from './job-inputs-here.ts';
import { noteDuration } from './pack.ts';
import { unseal } from './sealed.ts';

const heartbeatMs = 2000;
const watchMs = 200;
/** Room that is given back when the disk is full, so that the end can still be told. */
const reserveBytes = 64 * 1024;

export interface SuperviseOptions {
  readonly folder: string;
  readonly name: string;
  /** Of the agent's program: the stage worker lies beside it. */
  readonly programs: string;
  /** Of the attempt: it runs no other. Null where a scheduler starts it. */
  readonly token: string | null;
  /** Null where a scheduler starts it: then they are asked for. */
  readonly secrets: Readonly<Record<string, string>> | null;
}

/** What a supervisor that an agent has started is told over its standard input, as JSON. */
export interface SupervisorOrder {
  readonly name: string;
  readonly token: string | null;
  /** Null where a scheduler has started it. */
  readonly secrets: Readonly<Record<string, string>> | null;
}

export async function supervise({ folder, name, token, programs, secrets }: SuperviseOptions): Promise<void> {
  const paths = jobPaths(folder, name);
  const job = readJob(paths);
  if (job === null || (token !== null && job.token !== token)) return;
  const restart = Number(process.env.SLURM_RESTART_COUNT ?? 0);
  const grant = readJson<Grant>(paths.grant) ?? slurmGrant(job);
  const me: Supervisor = { ...thisProcess(), token: job.token, restart, grant };
  if (!takeLock(paths, me)) return;
  rmSync(paths.exit, { force: true });
  const reserve = join(paths.folder, 'reserve');
  try {
    writeFileSync(reserve, Buffer.alloc(reserveBytes, 1));
    writeWhole(paths.supervisor, JSON.stringify(me));
  } catch (error) {
    tellEnd(paths, reserve, failedExit(job, grant, error));
    return;
  }

  const stop = new AbortController();
  const kill = new AbortController();
  let asked = false;
  let signalled = false;
  process.on('SIGTERM', () => {
    signalled ||= !asked && !existsSync(paths.cancel);
    stop.abort();
  });
  process.on('SIGHUP', () => undefined);
  process.on('SIGUSR2', () => kill.abort());
  const watcher = setInterval(() => {
    const how = existsSync(paths.cancel) ? readFileSync(paths.cancel, 'utf8') : null;
    if (how === null) return;
    asked = true;
    if (how === 'kill') kill.abort();
    else stop.abort();
  }, watchMs);
  let beats = 0;
  const heart = setInterval(() => beat(paths, ++beats), heartbeatMs);
  beat(paths, beats);

  let exit: HostExit;
  try {
    const secret = job.secretNames.length === 0 ? {} : secrets ?? await unseal(paths.folder, job.token, stop.signal);
    exit = await run({ folder, programs, paths, job, grant, secret }, stop.signal, kill.signal);
  } catch (error) {
    exit = failedExit(job, grant, error);
  }
  clearInterval(watcher);
  clearInterval(heart);
  if (signalled && exit.outcome.cause === 'cancelled') {
    exit = { ...exit, outcome: { ...exit.outcome, cause: 'preempted', message: `asked to end by SIGTERM on ${hostname()}, not by pipe` } };
  }
  tellEnd(paths, reserve, exit);
}

interface Parts {
  readonly folder: string;
  readonly programs: string;
  readonly paths: JobPaths;
  readonly job: HostJob;
  readonly grant: Grant;
  readonly secret: Readonly<Record<string, string>>;
}

async function run({ folder, programs, paths, job: asked, grant, secret }: Parts, signal: AbortSignal, kill: AbortSignal): Promise<HostExit> {
  const store = new HostStore(folder);
  const { cell } = asked;
  const executor = createLocalExecutor({
    packageRoot: programs, environment: process.env, worker: join(programs, 'stage-worker.js'), graceMs: asked.graceMs,
  });
  const checkpoint = cell.settings.checkpoint ? checkpointFolder(folder, asked.name) : null;
  // Once: what a requeued job finds there is its own.
  const placed = join(paths.folder, 'checkpoint-placed');
  if (checkpoint !== null && asked.checkpoint !== null && !existsSync(placed)) {
    placeCheckpoint(store, folder, asked.name, asked.checkpoint);
    writeFileSync(placed, '');
  }
  if (checkpoint !== null) mkdirSync(checkpoint, { recursive: true });
  createWorkFolder(cell, paths.work);
  const inputs = jobInputsHere(store, asked);
  const job: Job = {
    projectRoot: paths.work, cell, attempt: 0, inputs, folder: paths.work, log: paths.log, checkpoint, grant,
    timeoutMs: asked.timeoutMs, backend: asked.backend, bundle: asked.bundle === null ? null : store.pathOf(asked.bundle), stateless: null,
    environment: { plain: { ...slurmVariables(process.env), ...asked.plain }, secret }, plan: { key: asked.name as Key, mayAttach: false, bring: 'all', sendCheckpoint: false },
  };
  const started = performance.now();
  const notices: string[] = [];
  const outcome = await executor.execute(job, { signal, kill, onEvent: () => undefined, onNotice: text => void notices.push(text) });
  const ranMs = performance.now() - started;
  // Whoever follows it leaves secrets out as it reads; the file stays.
  starOut(jobFiles(paths.work).events, secretValues(Object.keys(secret), secret));
  const ended = (result: JobOutcome, outputs: Readonly<Record<string, Artefact>> | null): HostExit => ({
    token: asked.token, outcome: result, outputs, grant, node: hostname(), ranMs,
  });
  const damaged = store.damaged(artefactsOf(asked));
  if (damaged.length > 0) {
    return ended({ ...outcome, ok: false, cause: 'damaged-input', message: `the input ${damaged.join(', ')} was changed on ${hostname()} while the stage ran: inputs are read only. It is sent again` }, null);
  }
  if (!outcome.ok) return ended(outcome.cause === 'exit' && isFull(folder) ? { ...outcome, cause: 'disk-full', message: `${outcome.message}, and the disk of ${hostname()} is full` } : outcome, null);
  const outputs: Record<string, Artefact> = {};
  const missing: string[] = [];
  for (const [name, path] of Object.entries(outputPaths(cell, paths.work))) {
    const declared = cell.outputs[name]!.path;
    if (!existsSync(path)) missing.push(`the output ${name} (${declared}) was not written`);
    else {
      try {
        outputs[name] = await store.add(path, basename(declared));
      } catch (error) {
        if (!(error instanceof PipeError)) throw error;
        missing.push(`the output ${name}: ${error.message}`);
      }
    }
  }
  if (missing.length > 0) return ended({ ...outcome, ok: false, cause: 'missing-output', message: missing.join('; ') }, null);
  if (checkpoint !== null) rmSync(checkpoint, { recursive: true, force: true });
  if (asked.slurm?.pack === 'auto') noteDuration(folder, asked, ranMs);
  return ended(outcome, outputs);
}

/** Whoever makes this file first runs the job; after a requeue the later start of the same Slurm job takes it over. */
function takeLock(paths: JobPaths, me: Supervisor): boolean {
  if (createWhole(paths.lock, JSON.stringify(me))) return true;
  const holder = readJson<Supervisor>(paths.lock);
  if (process.env.SLURM_JOB_ID === undefined || holder === null || holder.token !== me.token || holder.restart >= me.restart) return false;
  writeWhole(paths.lock, JSON.stringify(me));
  return true;
}

function tellEnd(paths: JobPaths, reserve: string, exit: HostExit): void {
  rmSync(reserve, { force: true });
  writeWhole(paths.exit, JSON.stringify(exit));
}

function failedExit(job: HostJob, grant: Grant, error: unknown): HostExit {
  const full = errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
  const text = error instanceof Error ? error.message : String(error);
  const message = full ? `the disk of ${hostname()} is full: ${text}` : `it could not be run on ${hostname()}: ${text}`;
  return {
    token: job.token, outputs: null, grant, node: hostname(), ranMs: 0,
    outcome: { ok: false, exitCode: null, signal: null, cause: full ? 'disk-full' : 'internal', message, cpuSeconds: null, peakMemoryBytes: null, gpu: null },
  };
}

/** A stage that could not write its output could not write why into its log either. */
function isFull(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < reserveBytes;
}

/** A heart that cannot write stands still: then the disk is full, and the end will tell. */
function beat(paths: JobPaths, count: number): void {
  try {
    writeWhole(paths.heartbeat, String(count));
  } catch {
    // see above
  }
}

/** Null when whoever started this process is gone before it had an order. */
export async function readOrder(): Promise<SupervisorOrder | null> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) text += chunk as string;
  return text === '' ? null : (JSON.parse(text) as SupervisorOrder);
}

/** What Slurm has given this job. */
function slurmGrant(job: HostJob): Grant {
  const { env } = process;
  const gpus = (env.CUDA_VISIBLE_DEVICES ?? env.SLURM_JOB_GPUS ?? '').split(',').filter(id => id !== '' && id !== 'NoDevFiles');
  return { cpu: Number(env.SLURM_CPUS_PER_TASK ?? 1), gpus: job.resources.gpu === 0 ? [] : gpus, memory: job.resources.memory };
}

/** A stage in a cluster may start steps of its own, and sees what it was given. */
function slurmVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (name.startsWith('SLURM') && value !== undefined ? [[name, value] as const] : [])));
}
