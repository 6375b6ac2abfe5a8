/** From the command line to graph, store and plan: the beginning of most commands. */
import { availableParallelism } from 'node:os';
import { PipeError } from '../diagnostic.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import type { Hosts } from '../hosts/model.ts';
import { checkPlaces, factsElsewhere, namesElsewhere, placedOn, unknownHost } from '../hosts/placement.ts';
import type { Placement } from '../hosts/placement.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { selectCells } from '../pipeline/target.ts';
import type { CellGraph } from '../pipeline/model.ts';
import { makePlan } from '../plan/planner.ts';
import type { PlatformFacts } from '../plan/planner.ts';
import type { Plan } from '../plan/model.ts';
import { isSharedCacheConfigured } from '../shared-cache/config-file.ts';
import { planWithShared, wantedCells } from '../shared-cache/plan-with-shared.ts';
import type { SharedResults } from '../shared-cache/shared-results.ts';
import { isDamage, setAside } from '../store/database.ts';
import { databaseOf, openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import type { BackendProbe, CliContext } from './context.ts';
import { interpreterVersion } from './interpreters.ts';
import { loadPipelineOf } from './load-pipeline.ts';
import type { LoadedPipeline, Place } from './load-pipeline.ts';
import type { PipelineOptions } from './options.ts';

export interface PlanOptions {
  /** `--on`: all cells run there; or where some of them run. */
  readonly on?: Placement;
  readonly mode: 'read' | 'write';
  readonly force: 'none' | 'all' | readonly string[];
  readonly backend: string;
  /** Ask the shared cache for results that are not here. What it has is noted in the database, in `read` mode, too. */
  readonly lookUp?: boolean;
  /** Push results as they are made, whatever the settings say. */
  readonly push?: boolean;
}

export interface Session extends LoadedPipeline {
  readonly store: Store;
  readonly plan: Plan;
  readonly platform: PlatformFacts;
  readonly hosts: Hosts;
  /** Null where none is described. */
  readonly shared: SharedResults | null;
  /** What `targets` select, without what they need; null without targets. */
  readonly selected: ReadonlySet<number> | null;
}

/** Opens the store and makes the plan. Whoever calls closes the store. */
export async function openSession(
  words: readonly string[], options: PipelineOptions, context: Place & { readonly backends: BackendProbe; readonly version?: string }, how: PlanOptions,
): Promise<Session> {
  const loaded = await loadPipelineOf(words, options, context);
  return planSession(loaded, context, how);
}

export async function planSession(
  loaded: LoadedPipeline, context: Place & { readonly backends: BackendProbe; readonly version?: string }, how: PlanOptions,
): Promise<Session> {
  try {
    return await planOnce(loaded, context, how);
  } catch (error) {
    // Damage that did not show when it was opened.
    if (!isDamage(error) || how.mode !== 'write') throw error;
    const notice = setAside(databaseOf(loaded.cache));
    const session = await planOnce(loaded, context, how);
    return { ...session, store: { ...session.store, notices: [notice, ...session.store.notices] } };
  }
}

async function planOnce(
  loaded: LoadedPipeline, context: Place & { readonly backends: BackendProbe; readonly version?: string }, how: PlanOptions,
): Promise<Session> {
  const { cache, targets } = loaded;
  const { graph, hosts } = await place(loaded.graph, how.on, context);
  const selected = targets.length === 0 ? null : selectCells(graph, targets);
  const force = typeof how.force === 'string' ? how.force : selectCells(graph, how.force);
  const platform = await platformFacts(graph, hosts, how.backend, context);
  const planFor = (store: Store): Plan => makePlan({ graph, store, targets: selected, force, platform, packageRoot: context.packageRoot, environment: context.env });
  // Loaded only where there is one.
  const sharing = isSharedCacheConfigured(graph.root, context.env) ? await import('../shared-cache/shared-results.ts') : null;
  const shareFor = (store: Store): SharedResults | null => {
    if (sharing === null) return null;
    const shared = new sharing.SharedResults({ store, root: graph.root, environment: context.env, packageRoot: context.packageRoot, version: context.version ?? '', push: how.push === true });
    store.artefacts.supply = shared;
    return shared;
  };
  let store = openStore({ cache, mode: how.mode });
  try {
    let shared = shareFor(store);
    let plan = planFor(store);
    if (how.lookUp === true && shared !== null && wantedCells(plan).length > 0) {
      if (how.mode === 'write') plan = await planWithShared(plan, shared, () => planFor(store));
      else {
        store.close();
        const notices = await noteWhatOthersHave(cache, shareFor, planFor);
        store = openStore({ cache, mode: how.mode });
        shared = shareFor(store);
        shared?.note(notices);
        plan = planFor(store);
      }
    }
    return { ...loaded, graph, selected, store, plan, platform, hosts, shared };
  } catch (error) {
    try {
      store.close();
    } catch (second) {
      // What cannot be written on the way out weighs less than what went wrong before.
      if (!isDamage(error)) throw second;
    }
    throw error;
  }
}

const noHosts: Hosts = { file: null, entries: new Map() };

/** Hosts are read only when something may run on one, or lies there. */
async function place(graph: CellGraph, on: Placement | undefined, { env }: Pick<CliContext, 'env'>): Promise<{ readonly graph: CellGraph; readonly hosts: Hosts }> {
  const placed = on === undefined ? graph : placedOn(graph, on);
  const hosts = namesElsewhere(placed) ? await loadHosts(graph.root, env) : noHosts;
  if (typeof on === 'string' && on !== 'local' && !hosts.entries.has(on)) throw unknownHost(on, hosts);
  await checkPlaces(placed, hosts);
  return { graph: placed, hosts };
}

/** For commands that only read: what is found is written down by a store of its own. Gives what there is to tell. */
async function noteWhatOthersHave(cache: string, shareFor: (store: Store) => SharedResults | null, planFor: (store: Store) => Plan): Promise<readonly string[]> {
  let store: Store;
  try {
    store = openStore({ cache, mode: 'write' });
  } catch (error) {
    if (error instanceof PipeError) return [`the shared cache was not asked: ${error.message}`];
    throw error;
  }
  try {
    const notices: string[] = [];
    const shared = shareFor(store);
    shared?.listen(text => notices.push(text));
    if (shared !== null) await planWithShared(planFor(store), shared, () => planFor(store));
    return notices;
  } finally {
    store.close();
  }
}

/** Runs `use` with the session of a command that only reads, and closes it. */
export async function withReading<T>(
  words: readonly string[], options: PipelineOptions, context: CliContext, use: (session: Session) => T | Promise<T>, how: { readonly lookUp?: boolean } = {},
): Promise<T> {
  const session = await openSession(words, options, context, { mode: 'read', force: 'none', backend: backendChoice(undefined, context), ...how });
  session.shared?.listen(text => void context.stderr.write(`warning: ${text}\n`));
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
async function platformFacts(graph: CellGraph, hosts: Hosts, backend: string, context: { readonly backends: BackendProbe }): Promise<PlatformFacts> {
  const computes = graph.cells.some(cell => cell.action.kind === 'module' || cell.settings.platform.includes('backend'));
  return {
    backend: computes ? await context.backends.identity(backend) : backend,
    threads: String(availableParallelism()),
    os: `${process.platform}-${process.arch}`,
    interpreters: interpreterVersion,
    ...(namesElsewhere(graph) ? { elsewhere: factsElsewhere(hosts) } : {}),
  };
}
