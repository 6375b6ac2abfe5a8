/** The places where the cells of a run can run, by the names of `on:`, and the ways to get what lies there. */
import { PipeError } from '../diagnostic.ts';
import type { HostSettings, Hosts } from '../hosts/model.ts';
import type { Executor } from '../run/executor.ts';
import type { FetchCheckpoint } from '../run/move-checkpoint.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { Host } from './host.ts';
import { pullCheckpoint } from './pull-checkpoint.ts';
import { NotThere, pullIntoStore } from './pull.ts';
import { hostPrograms } from './programs.ts';
import { createRemoteExecutor } from './remote-executor.ts';
import type { PortableBackends } from './needed.ts';

export interface RemotePlaces {
  /** Null when there is no such host. */
  executor(name: string): Executor | null;
  /** Connects now, so that nobody has to wait for it later; what goes wrong is told when somebody does. */
  warm(name: string): void;
  /** Brings an artefact here from a host that has it. False when none has it; throws when one that should cannot be asked. */
  fetch(artefact: Artefact): Promise<boolean>;
  readonly fetchCheckpoint: FetchCheckpoint;
  close(): Promise<void>;
}

export interface RemoteOptions {
  readonly hosts: Hosts;
  readonly store: Store;
  readonly packageRoot: string;
  readonly notice: (text: string) => void;
  readonly signal: AbortSignal;
  /** Jobs go on when this process is asked to stop. */
  readonly detach: boolean;
  readonly portable: PortableBackends;
}

export function openRemotePlaces({ hosts, store, packageRoot, notice, signal, detach, portable }: RemoteOptions): RemotePlaces {
  const open = new Map<string, { readonly host: Host; readonly executor: Executor }>();
  const place = (name: string): { readonly host: Host; readonly executor: Executor } | null => {
    const known = open.get(name);
    if (known !== undefined) return known;
    const settings = hosts.entries.get(name);
    if (settings === undefined) return null;
    const host = openHost(settings, packageRoot, notice);
    const made = { host, executor: createRemoteExecutor({ host, store, packageRoot, detach, portable }) };
    open.set(name, made);
    return made;
  };
  const coming = new Map<string, Promise<boolean>>();
  const bring = async (artefact: Artefact): Promise<boolean> => {
    let trouble: unknown = null;
    for (const name of store.artefacts.elsewhere(artefact.digest)) {
      const found = place(name);
      if (found === null) {
        trouble ??= new PipeError(`${artefact.name} lies on ${name}, which the hosts file does not name any more`, { exitCode: 3, code: 'unknown-host', hint: 'name it again, or run what made it anew with --force' });
        continue;
      }
      try {
        await found.host.using(signal, link => pullIntoStore(link, store, artefact));
        return true;
      } catch (error) {
        if (error instanceof NotThere) store.artefacts.forgetElsewhere(artefact.digest, name);
        else trouble ??= error;
      }
    }
    if (trouble !== null) throw trouble;
    return false;
  };
  return {
    executor: name => place(name)?.executor ?? null,
    warm: name => void place(name)?.host.link(signal).catch(() => undefined),
    async fetch(artefact) {
      let work = coming.get(artefact.digest);
      if (work === undefined) coming.set(artefact.digest, (work = bring(artefact).finally(() => coming.delete(artefact.digest))));
      return await work;
    },
    async fetchCheckpoint(name, key, folder, most, stop) {
      const found = place(name);
      if (found === null) return { came: false, why: 'the hosts file does not name it any more' };
      try {
        return await found.host.using(AbortSignal.any([signal, stop]), link => pullCheckpoint(link, store, key, folder, Math.min(most ?? Number.POSITIVE_INFINITY, found.host.settings.checkpointBytes)));
      } catch (error) {
        return { came: false, why: error instanceof Error ? error.message : String(error) };
      }
    },
    async close() {
      await Promise.all([...open.values()].map(({ host }) => host.close()));
    },
  };
}

export const openHost = (settings: HostSettings, packageRoot: string, notice: (text: string) => void): Host => new Host(settings, hostPrograms(packageRoot), notice);
