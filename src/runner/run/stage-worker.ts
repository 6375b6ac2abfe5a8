/** The process a typed stage runs in: `stage-worker.js JOB.json`. Exit codes: 0 done, 1 failed, 2 not startable, 75 stopped. */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { GatheredCell, InputKind, StageModule } from '../../stage.ts';
import { stageApi } from '../../stage.ts';
import type { JobInput } from './executor.ts';
import { openEventWriter } from './worker-report.ts';
import type { EventWriter } from './worker-report.ts';
import { lifelineVariable } from './worker-job.ts';
import type { WorkerJob } from './worker-job.ts';

const stoppedExitCode = 75;

class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** A mistake that a stage's author reads: shown without a stack. */
class NotStartable extends Error {
  override readonly name = 'NotStartable';
}

const jobFile = process.argv[2];
if (jobFile === undefined) {
  process.stderr.write('usage: stage-worker JOB.json\n');
  process.exit(2);
}
await main(JSON.parse(readFileSync(jobFile, 'utf8')) as WorkerJob);

async function main(job: WorkerJob): Promise<never> {
  const events = openEventWriter(job.events);
  const stop = new AbortController();
  const ask = (why: string) => (): void => stop.abort(new Stopped(why));
  process.on('SIGTERM', ask('asked to stop'));
  process.on('SIGINT', ask('asked to stop'));
  holdOnTo(process.env[lifelineVariable], () => {
    ask('the run that started this stage is gone')();
    setTimeout(() => process.exit(stoppedExitCode), 10_000).unref();
  });
  let code = 0;
  try {
    const stage = await load(job.bundle);
    await stage.run({
      params: parseParams(stage, job),
      inputs: Object.fromEntries(Object.entries(job.declaredInputs).map(([name, kind]) => [name, inputValue(kind, job.inputs[name], name)])),
      outputs: job.outputs,
      report: events.report,
      signal: stop.signal,
      checkpoint: job.checkpoint,
      resources: { cpu: job.cpu, gpus: job.gpus },
      backend: job.backend,
      projectRoot: job.projectRoot,
    });
  } catch (error) {
    code = stop.signal.aborted && isStop(error, stop.signal) ? stoppedExitCode : error instanceof NotStartable ? 2 : 1;
    tell(error, code, events);
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  events.write({ usage: { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryBytes: maxRSS * 1024 } });
  events.close();
  // Not by an empty event loop: what a stage leaves open (sockets, worker threads) must not hold it.
  process.exit(code);
}

async function load(bundle: string): Promise<StageModule> {
  const module = (await import(pathToFileURL(bundle).href)) as { readonly stage?: StageModule };
  const { stage } = module;
  if (stage === undefined || typeof stage.run !== 'function') throw new NotStartable('the module exports no `stage` made by defineStage');
  if (stage.stageApi !== stageApi) throw new NotStartable(`the stage is made for stage API ${stage.stageApi}, and this program speaks ${stageApi}`);
  return stage;
}

/** Params were checked when the pipeline was loaded; here they get what zod makes of them, such as defaults and transforms. */
function parseParams(stage: StageModule, job: WorkerJob): unknown {
  const result = stage.params.safeParse(job.params);
  if (result.success) return result.data;
  const issues = result.error.issues.map(issue => `  with.${issue.path.map(String).join('.')}: ${issue.message}`);
  throw new NotStartable(`params of ${job.cell} do not fit the stage:\n${issues.join('\n')}`);
}

function inputValue(kind: InputKind, input: JobInput | undefined, name: string): string | readonly GatheredCell[] | undefined {
  if (input === undefined) {
    if (kind.endsWith('?')) return undefined;
    if (kind.endsWith('[]')) return [];
    throw new NotStartable(`the input \`${name}\` is missing`);
  }
  if (kind.endsWith('[]')) return gathered(input);
  switch (input.kind) {
    case 'artefact':
    case 'path':
      return input.path;
    case 'glob':
    case 'gather':
      throw new NotStartable(`the input \`${name}\` is one ${kind}, and got a list`);
  }
}

function gathered(input: JobInput): readonly GatheredCell[] {
  const plain = (path: string): GatheredCell => ({ point: {}, cell: '', path, status: 'done' });
  switch (input.kind) {
    case 'gather':
      return input.items.map(({ point, cell, path, status }) => ({ point, cell, path, status }));
    case 'glob':
      return input.paths.map(plain);
    case 'artefact':
    case 'path':
      return [plain(input.path)];
  }
}

function isStop(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || error instanceof Stopped || (error instanceof Error && (error.name === 'AbortError' || error.cause === signal.reason));
}

function tell(error: unknown, code: number, events: EventWriter): void {
  if (code === stoppedExitCode) {
    process.stderr.write('stopped on request\n');
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${error instanceof NotStartable ? message : error instanceof Error ? inspect(error) : message}\n`);
  events.write({ error: message.slice(0, 2000) });
}

/** Calls back when the process that started this one is gone: its end of the pipe closes then, however it ended. */
function holdOnTo(descriptor: string | undefined, gone: () => void): void {
  if (descriptor === undefined) return;
  const socket = new Socket({ fd: Number(descriptor), readable: true, writable: false });
  socket.on('error', () => undefined);
  socket.once('close', gone);
  socket.resume();
  socket.unref();
}
