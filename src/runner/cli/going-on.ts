/** What goes on elsewhere for a cache: cells that another process runs, and jobs on hosts and clusters that it has started. */
import { PipeError } from '../diagnostic.ts';
import { loadHosts } from '../hosts/hosts-file.ts';
import type { Hosts } from '../hosts/model.ts';
import type { Host } from '../remote/host.ts';
import type { ListedJob } from '../remote/protocol.ts';
import { listLeases } from '../run/leases.ts';
import type { LeaseHolder } from '../run/leases.ts';
import { describeOwner, ownerState } from '../run/owner.ts';
import type { Key } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { CliContext } from './context.ts';

export type GoingOn =
  | { readonly kind: 'run'; readonly cell: string; readonly key: Key; readonly holder: LeaseHolder }
  | { readonly kind: 'job'; readonly cell: string; readonly key: Key; readonly host: Host; readonly job: ListedJob };

export interface Elsewhere {
  readonly items: readonly GoingOn[];
  readonly hosts: Hosts;
  close(): Promise<void>;
}

/** Asks those hosts that this cache has run something on; one that does not answer is told and left out. */
export async function findGoingOn(store: Store, root: string, context: Pick<CliContext, 'env' | 'packageRoot' | 'stderr'>): Promise<Elsewhere> {
  const runs = listLeases(store.database).filter(holder => ownerState(holder) !== 'dead').map((holder): GoingOn => ({ kind: 'run', cell: holder.cell, key: holder.key, holder }));
  const hosts = await loadHosts(root, context.env);
  const used = store.database.prepare<[], { host: string }>('SELECT DISTINCT host FROM attempt').all().flatMap(({ host }) => hosts.entries.get(host) ?? []);
  if (used.length === 0) return { items: runs, hosts, close: async () => undefined };
  const [{ openHost }, { cacheOwner }] = await Promise.all([import('../remote/executors.ts'), import('../remote/remote-executor.ts')]);
  const { owner } = cacheOwner(store.cache);
  const open = used.map(settings => openHost(settings, context.packageRoot, text => context.stderr.write(`${text}\n`)));
  const jobs = await Promise.all(open.map(async (host): Promise<GoingOn[]> => {
    try {
      const listed = await host.using(new AbortController().signal, async link => await link.ask<ListedJob[]>('list'));
      return listed
        .filter(job => job.owner === owner && !job.released && (job.state === 'waiting' || job.state === 'running' || job.ok))
        .map(job => ({ kind: 'job', cell: job.cell, key: job.name as Key, host, job }));
    } catch (error) {
      if (!(error instanceof PipeError)) throw error;
      context.stderr.write(`warning: ${error.message}\n`);
      return [];
    }
  }));
  // A cell whose run lives is that run's, wherever its job is.
  const held = new Set(runs.map(({ key }) => key));
  return { items: [...runs, ...jobs.flat().filter(({ key }) => !held.has(key))], hosts, close: async () => void (await Promise.all(open.map(host => host.close()))) };
}

export function describeGoingOn(item: GoingOn): string {
  switch (item.kind) {
    case 'run':
      return `run ${item.holder.run}, ${describeOwner(item.holder)}`;
    case 'job':
      return `${item.host.settings.name}, ${item.job.state === 'ended' ? 'ended: its result has not been fetched' : item.job.state === 'waiting' ? `waiting: ${item.job.detail}` : `running ${item.job.detail}`}`;
  }
}
