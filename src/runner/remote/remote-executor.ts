/**
 * Runs cells on a host or a cluster. What can be told from here is only what the job's folder there says; so a lost
 * connection, or a driver that ends, changes nothing about the job.
 */
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { PipeError } from '../diagnostic.ts';
import type { HostSettings } from '../hosts/model.ts';
import type { ArtefactElsewhere, Executor, Job, JobOutcome } from '../run/executor.ts';
import { EventReader } from '../run/event-reader.ts';
import { appendToLog, openLog } from '../run/log-file.ts';
import { redactor, secretValues } from '../run/redact.ts';
import { jobFiles, outputPaths } from '../run/work-folder.ts';
import { removeTree } from '../store/read-only-tree.ts';
import { sha256 } from '../store/file-bytes.ts';
import type { Artefact, FailureCause } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { formatBytes } from '../ui/format.ts';
import { pathShipment } from './describe.ts';
import type { Shipment } from './describe.ts';
import type { Host } from './host.ts';
import { ConnectionLost, HostRefusal } from './link.ts';
import type { Link } from './link.ts';
import { gatherNeeded } from './needed.ts';
import type { Needed, PortableBackends } from './needed.ts';
import { backendsVariable } from './protocol.ts';
import type { HostExit, HostFacts, HostJob, JobState } from './protocol.ts';
import { pull } from './pull.ts';
import { seal } from './sealed.ts';
import { ship } from './ship.ts';
import { slurmRequest } from './slurm-request.ts';

export interface RemoteExecutorOptions {
  readonly host: Host;
  readonly store: Store;
  readonly packageRoot: string;
  readonly portable: PortableBackends;
  readonly graceMs?: number;
  /** Being asked to stop means to follow it no more: the job goes on. */
  readonly detach?: boolean;
}

type Control = Parameters<Executor['execute']>[1];

/** How long a host may take to confirm that it stopped what it was asked to stop, beyond the stage's own grace. */
const confirmMs = 15_000;

export function createRemoteExecutor(options: RemoteExecutorOptions): Executor {
  return {
    name: options.host.settings.name,
    slots: options.host.settings.slots,
    pullBytes: options.host.settings.pullBytes,
    execute: (job, control) => new RemoteRun(options, job, control).run(),
    close: () => options.host.close(),
  };
}

/** Who asks, for the host: the cache, since the next driver of the same cache carries on what this one started. */
export function cacheOwner(cache: string): { readonly owner: string; readonly ownerText: string } {
  return { owner: sha256(`${hostname()} ${cache}`).slice(0, 16), ownerText: `${userInfo().username}@${hostname()}:${cache}` };
}

type JobEnd = Extract<JobState, { state: 'ended' | 'lost' }>;
type Descriptors = { readonly log: number; readonly events: number };

class RemoteRun {
  readonly #options: RemoteExecutorOptions;
  readonly #job: Job;
  readonly #control: Control;
  readonly #token = randomUUID();
  readonly #giveUp = new AbortController();
  readonly #seen = { log: 0, events: 0 };
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #undo: (() => void)[] = [];
  #link: Link | null = null;
  #started = false;
  #told = '';

  constructor(options: RemoteExecutorOptions, job: Job, control: Control) {
    this.#options = options;
    this.#job = job;
    this.#control = control;
  }

  get #settings(): HostSettings {
    return this.#options.host.settings;
  }

  async run(): Promise<JobOutcome> {
    const { environment, log, folder } = this.#job;
    const descriptors = { log: openLog(log), events: openSync(jobFiles(folder).events, 'a') };
    const events = new EventReader(jobFiles(folder).events, redactor(secretValues(Object.keys(environment.secret), environment.secret)), this.#control.onEvent, this.#control.onNotice);
    this.#listenForStop();
    try {
      return await this.#untilEnd(descriptors);
    } catch (error) {
      return this.#outcomeOf(error);
    } finally {
      for (const timer of this.#timers) clearTimeout(timer);
      for (const undo of this.#undo) undo();
      closeSync(descriptors.log);
      closeSync(descriptors.events);
      await events.close();
    }
  }

  async #untilEnd(descriptors: Descriptors): Promise<JobOutcome> {
    const { host } = this.#options;
    let needed: Needed | null = null;
    return await host.using(this.#giveUp.signal, async link => {
      this.#link = link;
      if (this.#control.signal.aborted && !this.#started) return failed('cancelled', 'stopped on request, before it had started');
      const facts = await factsOf(link);
      this.#checkPlatform(facts);
      needed ??= await gatherNeeded(this.#job, facts, { ...this.#options, name: this.#settings.name });
      const checkpoint = this.#checkpoint();
      await ship(host, link, checkpoint === null ? needed.shipments : new Map([...needed.shipments, [checkpoint.artefact.digest, () => checkpoint]]));
      const job = this.#hostJob(needed, facts, checkpoint?.artefact ?? null);
      this.#started = true;
      const { secret } = this.#job.environment;
      // Over the connection's pipe only. A cluster's job asks for them when it starts.
      const secrets = job.slurm === null ? secret : {};
      const { token, end } = await this.#startAndFollow(link, job, secrets, descriptors);
      if (end.state === 'lost') {
        await link.ask('release', { name: job.name, token });
        return failed(end.cause, end.message);
      }
      const { exit } = end;
      if (!exit.outcome.ok || exit.outputs === null) appendToLog(this.#job.log, `[pipe] on ${host.settings.name} its folder is ${join(facts.folder, 'jobs', job.name, 'work')}`);
      const elsewhere = await this.#bring(link, exit);
      await link.ask('release', { name: job.name, token });
      return { ...exit.outcome, elsewhere, gpusGiven: exit.grant.gpus.length };
    });
  }

  async #startAndFollow(link: Link, job: HostJob, secrets: Readonly<Record<string, string>>, descriptors: Descriptors): Promise<{ readonly token: string; readonly end: JobEnd }> {
    for (;;) {
      const { attached, token } = await link.ask<{ attached: boolean; token: string }>('start', { job, secrets, anew: !this.#job.plan.mayAttach });
      this.#control.onBegun?.(!attached && job.checkpoint !== null);
      if (attached) this.#control.onNotice?.(`${this.#settings.name} has it from an earlier start; its result is taken`);
      if (this.#control.signal.aborted && this.#options.detach !== true) await this.#cancel(link, this.#control.kill.aborted);
      const end = await this.#follow(link, job.name, token, descriptors);
      if (end === null) continue;
      const stoppedByOther = attached && end.state === 'ended' && end.exit.outcome.cause === 'cancelled' && !this.#control.signal.aborted;
      if (!stoppedByOther) return { token, end };
      appendToLog(this.#job.log, `[pipe] the run that had started it on ${this.#settings.name} was stopped: it is started again`);
      Object.assign(this.#seen, { log: 0, events: 0 });
    }
  }

  /** Hands on what the job says until it has ended. Null when whoever was to start it is gone. */
  #follow(link: Link, name: string, token: string, descriptors: Descriptors): Promise<JobEnd | null> {
    return new Promise((resolve, reject) => {
      let answered = false;
      const off = link.listen(name, (header, payload) => {
        if (header.stream === 'log' || header.stream === 'events') {
          for (let done = 0; done < payload.length; ) done += writeSync(descriptors[header.stream], payload, done);
          this.#seen[header.stream] = (header.offset as number) + payload.length;
        } else if (typeof header.wants === 'string') {
          if (answered) return;
          answered = true;
          void link.ask('secrets', { name, box: seal(JSON.stringify(this.#job.environment.secret), header.wants) }).catch(() => undefined);
        } else if (header.state !== undefined) {
          const state = header.state as JobState;
          if (state.state === 'ended' || state.state === 'lost') {
            off();
            resolve(state);
          } else if (state.state === 'waiting' && state.abandoned === true) {
            off();
            resolve(null);
          } else this.#tell(state);
        }
      });
      void link.closed.then(error => {
        off();
        reject(error);
      });
      if (this.#options.detach === true) {
        this.#on(this.#giveUp.signal, () => {
          off();
          reject(new Error('followed no more'));
        });
      }
      link.ask('follow', { name, token, ...this.#seen }).catch(reject);
    });
  }

  #tell(state: Extract<JobState, { state: 'waiting' | 'running' }>): void {
    const text = state.state === 'waiting' ? `waiting on ${this.#settings.name}: ${state.why}` : `running on ${state.node}`;
    if (text === this.#told) return;
    this.#told = text;
    if (state.state === 'waiting') this.#control.onEvent({ note: text });
  }

  /** Outputs come into the work folder, where those of a local job are; large ones that nobody asked for stay. */
  async #bring(link: Link, { outputs }: HostExit): Promise<Record<string, ArtefactElsewhere>> {
    const elsewhere: Record<string, ArtefactElsewhere> = {};
    const { bring } = this.#job.plan;
    const paths = outputPaths(this.#job.cell, this.#job.folder);
    for (const [name, artefact] of Object.entries(outputs ?? {})) {
      const wanted = bring === 'all' || bring.has(name) || this.#job.cell.outputs[name]?.kind === 'metrics' || artefact.size <= this.#settings.pullBytes;
      const path = paths[name];
      if (path === undefined) continue;
      if (existsSync(path)) removeTree(path);
      if (wanted) await pull(link, artefact, path);
      else elsewhere[name] = { artefact, host: this.#settings.name };
    }
    return elsewhere;
  }

  /** What goes along of an earlier attempt elsewhere. */
  #checkpoint(): Shipment | null {
    const { checkpoint, plan } = this.#job;
    if (!plan.sendCheckpoint || checkpoint === null) return null;
    const shipment = pathShipment(this.#options.store, checkpoint);
    const { files, size } = shipment.artefact;
    if (files > 0 && size <= this.#settings.checkpointBytes) return shipment;
    if (files > 0) this.#control.onNotice?.(`its checkpoint does not go along: it has ${formatBytes(size)}, and \`checkpoint:\` of the hosts file allows ${formatBytes(this.#settings.checkpointBytes)}`);
    return null;
  }

  #hostJob({ inputs, code, backend: sent }: Needed, { folder }: HostFacts, checkpoint: Artefact | null): HostJob {
    const { cell, grant, plan, timeoutMs, backend, environment } = this.#job;
    const { slots, resources } = this.#settings;
    return {
      name: plan.key, token: this.#token, ...cacheOwner(this.#options.store.cache), cell, inputs, timeoutMs, backend, bundle: code?.bundle ?? null, checkpoint,
      trees: [...(code?.shipments ?? []).map(({ artefact }) => artefact), ...(sent === null ? [] : [sent])], resources: { ...cell.settings.resources, cpu: grant.cpu, memory: grant.memory },
      plain: { ...(sent === null ? {} : { [backendsVariable]: join(folder, 'store', 'artefacts', sent.digest, sent.name) }), ...environment.plain }, secretNames: Object.keys(environment.secret), graceMs: this.#options.graceMs ?? 30_000, slots, named: resources, slurm: slurmRequest(this.#settings),
    };
  }

  #checkPlatform({ os }: HostFacts): void {
    const declared = this.#settings.platform.os;
    if (declared !== null && declared !== os) {
      throw new PipeError(`the hosts file says that ${this.#settings.name} is ${declared}, and it is ${os}`, { exitCode: 3, code: 'platform-differs', hint: `write \`platform: { os: ${os} }\`` });
    }
  }

  #listenForStop(): void {
    const { signal, kill } = this.#control;
    if (this.#options.detach === true) {
      return this.#on(signal, () => {
        this.#control.onNotice?.(`it goes on on ${this.#settings.name}: \`pipe attach\` follows it again, \`pipe stop\` stops it`);
        this.#giveUp.abort();
      });
    }
    this.#on(signal, () => this.#stop(false, (this.#options.graceMs ?? 30_000) + confirmMs));
    this.#on(kill, () => this.#stop(true, confirmMs));
  }

  #stop(kill: boolean, patienceMs: number): void {
    this.#timers.push(setTimeout(() => this.#giveUp.abort(), patienceMs));
    if (this.#link?.alive === true && this.#started) void this.#cancel(this.#link, kill).catch(() => undefined);
    else if (!this.#started) this.#giveUp.abort();
  }

  async #cancel(link: Link, kill: boolean): Promise<void> {
    const { owner } = cacheOwner(this.#options.store.cache);
    const ours = await link.ask<boolean>('cancel', { name: this.#job.plan.key, owner, kill });
    // It belongs to another cache's run: that one goes on, and this one stops looking.
    if (!ours) this.#giveUp.abort();
  }

  #on(signal: AbortSignal, act: () => void): void {
    if (signal.aborted) return act();
    signal.addEventListener('abort', act, { once: true });
    this.#undo.push(() => signal.removeEventListener('abort', act));
  }

  #outcomeOf(error: unknown): JobOutcome {
    const { name } = this.#settings;
    const text = error instanceof Error ? error.message : String(error);
    if (this.#options.detach === true && this.#giveUp.signal.aborted) return failed('cancelled', `it goes on on ${name}`);
    if (this.#control.signal.aborted && (this.#giveUp.signal.aborted || error instanceof ConnectionLost)) {
      return failed('cancelled', this.#started ? `${name} did not confirm that it stopped it: it may go on there, and the next run of this cell takes part in it` : 'stopped on request, before it had started');
    }
    if (error instanceof HostRefusal) {
      const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
      return failed(full ? 'disk-full' : 'internal', full ? `the disk of ${name} is full: ${text}` : `${name}: ${text}`);
    }
    if (error instanceof PipeError) return failed(error.code === 'disk-full' ? 'disk-full' : 'internal', `${text}${error.hint === null ? '' : ` (${error.hint})`}`);
    return failed('internal', `${name}: ${text}`);
  }
}

const known = new WeakMap<Link, Promise<HostFacts>>();

export function factsOf(link: Link): Promise<HostFacts> {
  let facts = known.get(link);
  if (facts === undefined) known.set(link, (facts = link.ask<HostFacts>('facts')));
  return facts;
}

function failed(cause: FailureCause, message: string): JobOutcome {
  return { ok: false, exitCode: null, signal: null, cause, message, cpuSeconds: null, peakMemoryBytes: null, gpu: null };
}
