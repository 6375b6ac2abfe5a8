/** One job of a typed stage, in this process. Exit codes: 0 done, 1 failed, 2 not startable, 75 stopped. */
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { GatheredCell, InputKind, StageModule } from '../../stage.ts';
import { stageApi } from '../../stage.ts';
import type { JobInput } from './executor.ts';
import { openEventWriter } from './worker-report.ts';
import type { EventWriter } from './worker-report.ts';
import type { WorkerJob } from './worker-job.ts';

export const stoppedExitCode = 75;

/** Why a stage is asked to stop: its `signal.reason`. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** A mistake that a stage's author reads: shown without a stack. */
class NotStartable extends Error {
  override readonly name = 'NotStartable';
}

export interface CellEnd {
  readonly code: number;
  /** Null when it could not be loaded. */
  readonly stage: StageModule | null;
}

export interface CellOptions {
  readonly signal: AbortSignal;
  /** How many jobs this process has done: each loads the module anew. A module that does not load once more is the caller's to deal with. */
  readonly instance: number;
  /** Called when the module is loaded. */
  readonly begun?: () => void;
}

export async function runCell(job: WorkerJob, { signal, instance, begun }: CellOptions): Promise<CellEnd> {
  const usedBefore = cpuSeconds();
  const again = instance === 0 ? null : await load(job.bundle, instance);
  const events = openEventWriter(job.events);
  let stage = again;
  let code = 0;
  try {
    stage ??= await load(job.bundle, 0);
    begun?.();
    await stage.run({
      params: parseParams(stage, job),
      inputs: Object.fromEntries(Object.entries(job.declaredInputs).map(([name, kind]) => [name, inputValue(kind, job.inputs[name], name)])),
      outputs: job.outputs,
      report: events.report,
      signal,
      checkpoint: job.checkpoint,
      resources: { cpu: job.cpu, gpus: job.gpus },
      backend: job.backend,
      projectRoot: job.projectRoot,
    });
  } catch (error) {
    code = signal.aborted && isStop(error, signal) ? stoppedExitCode : error instanceof NotStartable ? 2 : 1;
    tell(error, code, events);
  }
  // The first job of a process is charged with its start.
  const used = cpuSeconds() - (instance === 0 ? 0 : usedBefore);
  events.write({ usage: { cpuSeconds: used, peakMemoryBytes: process.resourceUsage().maxRSS * 1024 } });
  events.close();
  return { code, stage };
}

function cpuSeconds(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return (userCPUTime + systemCPUTime) / 1e6;
}

async function load(bundle: string, instance: number): Promise<StageModule> {
  const address = pathToFileURL(bundle).href + (instance === 0 ? '' : `?${instance}`);
  const module = (await import(address)) as { readonly stage?: StageModule };
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
