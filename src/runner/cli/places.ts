/** The places where a session's cells run. What other hosts need is loaded when there is one. */
import { namesElsewhere, unknownHost } from '../hosts/placement.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import type { RemotePlaces } from '../remote/executors.ts';
import type { Executor } from '../run/executor.ts';
import { createLocalExecutor } from '../run/local.ts';
import type { FetchCheckpoint } from '../run/move-checkpoint.ts';
import { placeOf } from '../run/places.ts';
import type { Artefact } from '../store/model.ts';
import type { BackendProbe } from './context.ts';
import type { Session } from './session.ts';

export interface OpenPlaces {
  readonly executors: (name: string) => Executor;
  readonly fetch: (artefact: Artefact) => Promise<boolean>;
  readonly fetchCheckpoint: FetchCheckpoint;
  close(): Promise<void>;
}

export interface PlacesOptions {
  readonly packageRoot: string;
  readonly backends: BackendProbe;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly notice: (text: string) => void;
  /** What runs on other hosts goes on when this process is asked to stop. */
  readonly detach?: boolean;
}

export async function openPlaces(session: Pick<Session, 'graph' | 'hosts' | 'store' | 'plan'>, { packageRoot, backends, env, signal, notice, detach = false }: PlacesOptions): Promise<OpenPlaces> {
  const local = createLocalExecutor({ packageRoot, environment: env, keepWorkers: true });
  let remote: RemotePlaces | null = null;
  const open = async (): Promise<RemotePlaces> => {
    if (remote !== null) return remote;
    const { openRemotePlaces } = await import('../remote/executors.ts');
    // Nothing runs elsewhere, and yet something may lie there from another run.
    const hosts = session.hosts.file === null ? await loadHosts(session.graph.root, env) : session.hosts;
    return (remote ??= openRemotePlaces({ hosts, store: session.store, packageRoot, notice, signal, detach, portable: backends.portable }));
  };
  if (namesElsewhere(session.graph)) {
    const { warm } = await open();
    const { plan } = session;
    for (const on of new Set([...plan.selected].filter(cell => plan.cells[cell]!.state === 'run').map(cell => placeOf(plan.graph.cells[cell]!)))) if (on !== local.name) warm(on);
  }
  return {
    executors(name) {
      if (name === local.name) return local;
      const executor = remote?.executor(name) ?? null;
      if (executor === null) throw unknownHost(name, session.hosts);
      return executor;
    },
    fetch: async artefact => (await open()).fetch(artefact),
    fetchCheckpoint: async (...request) => (await open()).fetchCheckpoint(...request),
    async close() {
      await local.close();
      await remote?.close();
    },
  };
}
