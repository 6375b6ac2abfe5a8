/** Running a pipeline from code: the same plan, the same store, the same events as `pipe run`, and no terminal. */
import { availableParallelism } from 'node:os';
import type { EmitEvent } from '../run/event.ts';
import { runPlan } from '../run/run-plan.ts';
import type { RunSummary } from '../run/run-plan.ts';
import type { BackendProbe } from './context.ts';
import { openPlaces } from './places.ts';
import { backendChoice, openSession } from './session.ts';

export interface RunPipelineOptions {
  /** The pipeline file, looked up as `pipe run` does: as given, then in `pipelines/`; left out, the only one there is. */
  readonly file?: string;
  /** Default: the working directory. */
  readonly cwd?: string;
  /** Such as `train[size=d32l2]` or `+evaluate`; all cells when left out. */
  readonly targets?: readonly string[];
  readonly profile?: string;
  /** Params to change, such as `{ 'input.context': 24 }`. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** The cache folder; default PIPE_CACHE, else `cache/` in the project. */
  readonly cache?: string;
  /** Cells at once; default the number of cores. */
  readonly jobs?: number;
  /** Run again though fresh: all cells, or these targets. */
  readonly force?: boolean | readonly string[];
  readonly keepGoing?: boolean;
  readonly backend?: string;
  /** Run all cells there: a host or cluster of pipe.hosts.yaml. */
  readonly on?: string;
  /** Gets every event of the run. */
  readonly onEvent?: EmitEvent;
  /** Aborted: no cell is started any more, running ones are asked to stop. */
  readonly signal?: AbortSignal;
  /** Aborted: running ones are ended now. */
  readonly kill?: AbortSignal;
}

export interface Installation {
  readonly packageRoot: string;
  readonly version: string;
  readonly backends: BackendProbe;
}

/**
 * Makes everything (or the targets) fresh and says how that went; a failed cell is no exception, but `exitCode` 1 and
 * `failed` above 0. Throws InvalidPipeline with every mistake of the file, and PipeError for wrong targets, unknown
 * backends and what this machine lacks.
 */
export async function runPipelineWith(options: RunPipelineOptions, installation: Installation): Promise<RunSummary> {
  const { packageRoot, version, backends } = installation;
  const place = { cwd: options.cwd ?? process.cwd(), env: process.env, packageRoot, backends, version };
  const backend = backendChoice(options.backend, place);
  const set = Object.entries(options.set ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const force = options.force === true ? 'all' : options.force === undefined || options.force === false ? 'none' : options.force;
  const session = await openSession(
    [...(options.targets ?? [])],
    { set, ...pick(options, 'file'), ...pick(options, 'profile'), ...pick(options, 'cache') },
    place,
    { mode: 'write', force, backend, lookUp: true, ...(options.on === undefined ? {} : { on: options.on }) },
  );
  const kill = options.kill ?? new AbortController().signal;
  const notice = (text: string): void => options.onEvent?.({ event: 'notice', level: 'warning', text });
  const places = await openPlaces(session, { packageRoot, backends, env: process.env, signal: kill, notice });
  try {
    return await runPlan({
      plan: session.plan,
      store: session.store,
      emit: options.onEvent ?? (() => {}),
      jobs: options.jobs ?? availableParallelism(),
      keepGoing: options.keepGoing === true,
      backend,
      packageRoot,
      budget: { gpuHours: null, wallMs: null },
      executors: places.executors,
      fetch: places.fetch,
      fetchCheckpoint: places.fetchCheckpoint,
      signal: options.signal ?? new AbortController().signal,
      kill,
      platform: session.platform,
      command: ['runPipeline'],
      version,
      environment: process.env,
      shared: session.shared,
    });
  } finally {
    await places.close();
    session.store.close();
  }
}

/** Leaves out what is undefined, so that a default is a default. */
function pick<K extends 'file' | 'profile' | 'cache'>(options: RunPipelineOptions, name: K): { readonly [key in K]?: string } {
  const value = options[name];
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in K]?: string };
}
