/** From the command line to graph, store and plan: the beginning of most commands. */
import { availableParallelism } from 'node:os';
import { PipeError } from '../diagnostic.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { selectCells } from '../pipeline/target.ts';
import type { CellGraph } from '../pipeline/model.ts';
import { makePlan } from '../plan/planner.ts';
import type { PlatformFacts } from '../plan/planner.ts';
import type { Plan } from '../plan/model.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import type { BackendProbe, CliContext } from './context.ts';
import { interpreterVersion } from './interpreters.ts';
import { loadPipelineOf } from './load-pipeline.ts';
import type { LoadedPipeline, Place } from './load-pipeline.ts';
import type { PipelineOptions } from './options.ts';

export interface PlanOptions {
  readonly mode: 'read' | 'write';
  readonly force: 'none' | 'all' | readonly string[];
  readonly backend: string;
}

export interface Session extends LoadedPipeline {
  readonly store: Store;
  readonly plan: Plan;
  readonly platform: PlatformFacts;
  /** What `targets` select, without what they need; null without targets. */
  readonly selected: ReadonlySet<number> | null;
}

/** Opens the store and makes the plan. Whoever calls closes the store. */
export async function openSession(
  words: readonly string[], options: PipelineOptions, context: Place & { readonly backends: BackendProbe }, how: PlanOptions,
): Promise<Session> {
  const loaded = await loadPipelineOf(words, options, context);
  return planSession(loaded, context, how);
}

export async function planSession(
  loaded: LoadedPipeline, context: Place & { readonly backends: BackendProbe }, how: PlanOptions,
): Promise<Session> {
  const { graph, cache, targets } = loaded;
  const selected = targets.length === 0 ? null : selectCells(graph, targets);
  const force = typeof how.force === 'string' ? how.force : selectCells(graph, how.force);
  const platform = await platformFacts(graph, how.backend, context);
  const store = openStore({ cache, mode: how.mode });
  try {
    const plan = makePlan({ graph, store, targets: selected, force, platform, packageRoot: context.packageRoot, environment: context.env });
    return { ...loaded, selected, store, plan, platform };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Runs `use` with the session of a command that only reads, and closes it. */
export async function withReading<T>(
  words: readonly string[], options: PipelineOptions, context: CliContext, use: (session: Session) => T | Promise<T>,
): Promise<T> {
  const session = await openSession(words, options, context, { mode: 'read', force: 'none', backend: backendChoice(undefined, context) });
  try {
    return await use(session);
  } finally {
    session.store.close();
  }
}

/** `--backend`, else `PIPE_BACKEND`, else `auto`; a name that there is none of is a mistake of usage. */
export function backendChoice(option: string | undefined, context: { readonly backends: BackendProbe; readonly env: CliContext['env'] }): string {
  const fromEnv = context.env['PIPE_BACKEND'];
  const choice = option ?? (fromEnv === undefined || fromEnv === '' ? 'auto' : fromEnv);
  if (!context.backends.names.includes(choice)) {
    const where = option === undefined ? 'PIPE_BACKEND names' : 'there is';
    throw new PipeError(`${where} no tensor backend ${choice}`, {
      exitCode: 2, code: 'unknown-backend', hint: suggestion(choice, context.backends.names, 'there are'),
    });
  }
  return choice;
}

/** A pipeline of commands alone has no tensors: it must run where a backend is missing. */
async function platformFacts(graph: CellGraph, backend: string, context: { readonly backends: BackendProbe }): Promise<PlatformFacts> {
  const computes = graph.cells.some(cell => cell.action.kind === 'module' || cell.settings.platform.includes('backend'));
  return {
    backend: computes ? await context.backends.identity(backend) : backend,
    threads: String(availableParallelism()),
    os: `${process.platform}-${process.arch}`,
    interpreters: interpreterVersion,
  };
}
