/** The agent: answers one driver over standard input and output, and ends with the connection. Jobs go on without it. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, statfsSync, statSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { bytePath, errorCode, fsPath } from '../../store/file-bytes.ts';
import type { Digest } from '../../store/model.ts';
import { FrameReader, FrameWriter, largestPayload } from '../frames.ts';
import type { Header } from '../frames.ts';
import { backendsVariable, greeting } from '../protocol.ts';
import type { HostArtefact, HostCheckpoint, HostEntry, HostFacts, HostGcRequest, HostJob } from '../protocol.ts';
import type { SealedBox } from '../sealed.ts';
import { thisMachine } from './allot.ts';
import { checkpointFolder, describeCheckpoint } from './checkpoints.ts';
import { collectHostGarbage } from './host-gc.ts';
import { blobName, HostStore } from './host-store.ts';
import type { BlobWriter } from './host-store.ts';
import { dropOld, readJob, readJson, writeWhole } from './job-folder.ts';
import { Jobs } from './jobs.ts';
import { sealedFile, wantedFile } from './sealed.ts';
import type { SecretsWanted } from './sealed.ts';

const busyPollMs = 50;
const idlePollMs = 500;
const mostAtOnce = 4;
/** How long Slurm may take to say how a job has ended. */
const unclearMs = 20_000;

function installedBackends(): string[] {
  const { env } = process;
  const root = env[backendsVariable] || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pipe', 'backends');
  if (!existsSync(root)) return [];
  return readdirSync(root).map(name => join(root, name)).filter(folder => existsSync(join(folder, 'ready.json')));
}

interface Followed {
  readonly name: string;
  readonly token: string;
  readonly streams: { readonly stream: 'log' | 'events'; readonly path: string; offset: number }[];
  told: string;
  lookAt: number;
}

export async function serve(folder: string, agent: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  process.stdout.write(greeting);
  const store = new HostStore(folder);
  const jobs = new Jobs(folder, agent);
  jobs.prepare();
  dropOld(folder);
  new Agent(folder, agent, store, jobs).listen();
  await new Promise<void>(resolve => process.stdin.once('close', resolve).once('end', resolve));
}

class Agent {
  readonly #folder: string;
  readonly #agent: string;
  readonly #store: HostStore;
  readonly #jobs: Jobs;
  readonly #out = new FrameWriter(process.stdout);
  readonly #followed = new Map<string, Followed>();
  #blob: BlobWriter | null = null;
  /** The first thing that went wrong with contents since it was last asked. */
  #trouble: unknown = null;
  #timer: NodeJS.Timeout | null = null;
  #polling = false;
  #again = false;

  constructor(folder: string, agent: string, store: HostStore, jobs: Jobs) {
    this.#folder = folder;
    this.#agent = agent;
    this.#store = store;
    this.#jobs = jobs;
    jobs.onChange = () => this.#pollSoon(0);
  }

  listen(): void {
    const reader = new FrameReader((header, payload) => this.#take(header, payload));
    process.stdin.on('data', (chunk: Buffer) => reader.push(chunk));
    process.stdin.on('end', () => this.#blob?.abandon());
  }

  #take(header: Header, payload: readonly Buffer[]): void {
    if (header.op === 'blob') return this.#takeBlob(header as { name: string; size: number }, payload);
    if (header.op === 'chunk') return this.#takeChunk(payload);
    const { id } = header;
    this.#answer(header).then(
      answer => void this.#out.send({ id, ok: answer ?? null }),
      (error: unknown) => void this.#out.send({ id, trouble: { message: error instanceof Error ? error.message : String(error), code: errorCode(error) } }),
    );
  }

  #takeBlob({ name, size }: { name: string; size: number }, payload: readonly Buffer[]): void {
    this.#blob?.abandon();
    this.#blob = null;
    try {
      this.#blob = this.#store.receive(name, size);
      this.#takeChunk(payload);
    } catch (error) {
      this.#trouble ??= error;
    }
  }

  /** What follows a failure belongs to the content that failed, and is read past. */
  #takeChunk(payload: readonly Buffer[]): void {
    if (this.#blob === null) return;
    const blob = this.#blob;
    try {
      for (const part of payload.length === 0 ? [Buffer.alloc(0)] : payload) if (blob.write(part)) this.#blob = null;
    } catch (error) {
      this.#trouble ??= error;
      blob.abandon();
      this.#blob = null;
    }
  }

  async #answer(header: Header): Promise<unknown> {
    switch (header.op) {
      case 'facts':
        return await this.#facts();
      case 'missing':
        // A job is about to come, most likely.
        if (header.spare === true) this.#jobs.keepSpare();
        return this.#store.missing(header.artefacts as Digest[]);
      case 'missing-blobs':
        return this.#store.missingBlobs(header.entries as HostEntry[]);
      case 'blobs-sent': {
        const trouble = this.#trouble;
        this.#trouble = null;
        if (trouble !== null) throw trouble;
        return null;
      }
      case 'assemble':
        this.#store.assemble(header.tree as HostArtefact);
        return null;
      case 'start':
        return await this.#jobs.start(header.job as HostJob, header.secrets as Record<string, string>, header.anew === true);
      case 'follow':
        this.#follow(header as unknown as { name: string; token: string; log: number; events: number });
        return null;
      case 'secrets':
        writeWhole(sealedFile(this.#jobs.paths(header.name as string).folder), JSON.stringify(header.box as SealedBox));
        return null;
      case 'cancel': {
        const done = await this.#jobs.cancel(header.name as string, header.owner as string | null, header.kill === true);
        this.#pollSoon(0);
        return done;
      }
      case 'release':
        this.#followed.delete(header.name as string);
        this.#jobs.release(header.name as string, header.token as string);
        return null;
      case 'gc':
        return collectHostGarbage(this.#folder, dirname(this.#agent), header.request as HostGcRequest);
      case 'list':
        return await this.#jobs.list();
      case 'manifest':
        return this.#store.manifest(header.digest as string);
      case 'read':
        await this.#send(header.id as number, header.entries as HostEntry[], header.checkpoint as string | undefined);
        return null;
      case 'checkpoint':
        return await this.#checkpoint(header.name as string, header.most as number);
      case 'read-log':
        return this.#tail(this.#jobs.paths(header.name as string).log);
      default:
        throw new Error(`the agent does not know ${String(header.op)}`);
    }
  }

  async #facts(): Promise<HostFacts> {
    const machine = await thisMachine();
    const disk = statfsSync(this.#folder);
    return {
      host: hostname(), user: userInfo().username, folder: this.#folder, node: process.version, os: `${process.platform}-${process.arch}`,
      cpus: machine.cpus, memoryBytes: machine.memoryBytes, gpus: machine.gpus, freeBytes: disk.bavail * disk.bsize, backends: installedBackends(), time: Date.now(),
    };
  }

  async #checkpoint(name: string, most: number): Promise<HostCheckpoint> {
    const paths = this.#jobs.paths(name);
    // One whose end somebody has heard of is over, whatever else could be found out about it.
    if (readJob(paths) !== null && !existsSync(paths.released)) {
      const since = performance.now();
      let job = await this.#jobs.state(name);
      for (; job === null && performance.now() - since < unclearMs; job = await this.#jobs.state(name)) await new Promise<void>(resolve => setTimeout(resolve, idlePollMs));
      if (job?.state !== 'ended' && job?.state !== 'lost') return { kind: 'in-use' };
    }
    return await describeCheckpoint(this.#folder, name, most);
  }

  /** Contents in the order asked for, each whole before the next: of the store, or of a job's checkpoint. */
  async #send(id: number, entries: readonly HostEntry[], checkpoint: string | undefined): Promise<void> {
    const checkpoints = checkpoint === undefined ? null : bytePath(checkpointFolder(this.#folder, checkpoint));
    for (const [type, path, content, size] of entries) {
      if (type !== 'f' && type !== 'x') continue;
      const descriptor = openSync(checkpoints === null ? this.#store.blobPath(blobName(type, content)) : fsPath(`${checkpoints}/${path}`), 'r');
      try {
        let at = 0;
        do {
          const chunk = Buffer.allocUnsafe(Math.min(largestPayload, size - at));
          const count = readSync(descriptor, chunk, 0, chunk.length, at);
          if (count === 0 && size > at) throw new Error(`a content on the host is shorter than it was: ${content}`);
          at += count;
          await this.#out.send({ data: id }, chunk.subarray(0, count));
        } while (at < size);
      } finally {
        closeSync(descriptor);
      }
    }
  }

  #tail(path: string): string {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const chunk = Buffer.alloc(Math.min(size, 64 * 1024));
    if (size === 0) return '';
    const descriptor = openSync(path, 'r');
    try {
      readSync(descriptor, chunk, 0, chunk.length, size - chunk.length);
    } finally {
      closeSync(descriptor);
    }
    return chunk.toString('utf8');
  }

  #follow({ name, token, log, events }: { name: string; token: string; log: number; events: number }): void {
    const paths = this.#jobs.paths(name);
    this.#followed.set(name, {
      name, token, told: '', lookAt: 0,
      streams: [{ stream: 'log', path: paths.log, offset: log }, { stream: 'events', path: `${paths.work}/events.jsonl`, offset: events }],
    });
    this.#pollSoon(0);
  }

  #pollSoon(ms: number): void {
    if (this.#polling) {
      this.#again = true;
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), ms);
  }

  async #poll(): Promise<void> {
    this.#timer = null;
    this.#polling = true;
    const eager = this.#again;
    this.#again = false;
    const now = performance.now();
    const due = [...this.#followed.values()].filter(({ lookAt }) => eager || lookAt <= now);
    for (let at = 0; at < due.length; at += mostAtOnce) await Promise.all(due.slice(at, at + mostAtOnce).map(job => this.#look(job)));
    this.#polling = false;
    if (this.#again) return this.#pollSoon(0);
    if (this.#followed.size > 0) this.#pollSoon(Math.max(5, Math.min(...[...this.#followed.values()].map(({ lookAt }) => lookAt)) - performance.now()));
  }

  async #look(job: Followed): Promise<void> {
    try {
      const state = await this.#jobs.state(job.name);
      const ended = state?.state === 'ended' || state?.state === 'lost';
      // What was written before it ended is told before its end.
      await this.#tellNew(job, ended);
      job.lookAt = performance.now() + (state?.state === 'waiting' ? (this.#followed.size > 20 ? idlePollMs : 4 * busyPollMs) : busyPollMs);
      const wanted = readJson<SecretsWanted>(wantedFile(this.#jobs.paths(job.name).folder));
      if (wanted !== null) await this.#out.send({ job: job.name, token: job.token, wants: wanted.publicKey });
      if (state === null || JSON.stringify(state) === job.told) return;
      job.told = JSON.stringify(state);
      if (ended) this.#followed.delete(job.name);
      await this.#out.send({ job: job.name, token: job.token, state });
    } catch (error) {
      this.#followed.delete(job.name);
      await this.#out.send({ job: job.name, token: job.token, state: { state: 'lost', cause: 'internal', message: `the host's record of it cannot be read: ${error instanceof Error ? error.message : String(error)}` } });
    }
  }

  async #tellNew(job: Followed, all: boolean): Promise<void> {
    for (const stream of job.streams) {
      const size = statSync(stream.path, { throwIfNoEntry: false })?.size ?? 0;
      // Shorter than it was: the job was started again, after a requeue.
      if (size < stream.offset) stream.offset = 0;
      if (size === stream.offset) continue;
      const descriptor = openSync(stream.path, 'r');
      try {
        do {
          const chunk = Buffer.allocUnsafe(Math.min(largestPayload, size - stream.offset));
          const count = readSync(descriptor, chunk, 0, chunk.length, stream.offset);
          if (count === 0) break;
          await this.#out.send({ job: job.name, token: job.token, stream: stream.stream, offset: stream.offset }, chunk.subarray(0, count));
          stream.offset += count;
        } while (all && stream.offset < size);
      } finally {
        closeSync(descriptor);
      }
    }
  }
}
