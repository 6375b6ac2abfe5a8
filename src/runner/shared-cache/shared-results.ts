/** A project's shared cache as plans and runs see it: results by key, artefacts by digest, nothing that could stop a run. */
import { join } from 'node:path';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { PipeError } from '../diagnostic.ts';
import type { Artefact, Digest, Key } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { ArtefactSupply } from '../store/supply.ts';
import { Breaker } from './breaker.ts';
import { downloadBytes, downloadEntry, LocalTrouble } from './blob-download.ts';
import type { SharedCacheConfig } from './config.ts';
import type { Variables } from './config-file.ts';
import type { ContentsReference } from './contents.ts';
import { checkRecord, importRecord } from './import-record.ts';
import { quarantineEntry } from './quarantine.ts';
import { decodeDetails, decodeRecord, mostDetailsBytes, mostLogBytes, mostRecordBytes, recordName } from './record.ts';
import { BadEntry, RemoteTrouble } from './remote.ts';
import type { SharedCache } from './remote.ts';
import { forgetShared, isShared, recordShared, sharedContents } from './shared-artefacts.ts';
import type { WorkerSettings } from './restore-threads.ts';
import type { PublicKeyText } from './signing-key.ts';
import type { Pushed, Result } from './push.ts';

export interface SharedResultsOptions {
  readonly store: Store;
  readonly root: string;
  readonly environment: Variables;
  readonly packageRoot: string;
  /** Of this program. */
  readonly version: string;
  /** Push results as they are made, whatever the settings say. */
  readonly push: boolean;
}

interface Client {
  readonly cache: SharedCache;
  readonly config: SharedCacheConfig;
  readonly trusted: ReadonlySet<PublicKeyText>;
}

/** One cell whose result is looked for. */
export interface Wanted {
  readonly cell: Cell;
  readonly planKey: Key;
  /** Asked for first; null while it is not known. */
  readonly actionKey: Key | null;
}

const lookUpsAtOnce = 16;
/** All look-ups of a plan together take no longer than so many times the silence that is allowed. */
const planPatience = 3;

export class SharedResults implements ArtefactSupply {
  readonly #options: SharedResultsOptions;
  readonly #notices: string[] = [];
  #listener: ((text: string) => void) | null = null;
  readonly #stop = new AbortController();
  #client: Promise<Client | null> | null = null;
  readonly #reading: Breaker;
  readonly #writing: Breaker;
  readonly #asked = new Set<Key>();
  readonly #restoring = new Map<Digest, Promise<boolean>>();
  /** Blobs that were found there with other bytes: pushing replaces them. */
  readonly #distrusted = new Set<string>();
  readonly #sent = new Map<string, Promise<ContentsReference>>();

  constructor(options: SharedResultsOptions) {
    this.#options = options;
    // What stops because the run was stopped is no trouble of the server's.
    const say = (text: string): void => (this.#stop.signal.aborted ? undefined : this.#say(text));
    this.#reading = new Breaker('the run goes on without what it keeps', say);
    this.#writing = new Breaker('nothing more is pushed', say);
  }

  /** Everything that is to be told, from now on and what was said before. */
  listen(listener: (text: string) => void): void {
    this.#listener = listener;
    for (const text of this.#notices.splice(0)) listener(text);
  }

  /** Something to tell that another one has found out. */
  note(notices: readonly string[]): void {
    for (const text of notices) this.#say(text);
  }

  has(digest: Digest): boolean {
    return !this.#reading.open && isShared(this.#options.store.database, digest);
  }

  /** Looks for results of cells and takes in those it finds. Gives their number. Throws PipeError for settings that are wrong. */
  async lookUp(graph: CellGraph, wanted: readonly Wanted[]): Promise<number> {
    const client = await this.#connected();
    if (client === null || !this.#mayRead(client)) return 0;
    const timer = AbortSignal.timeout(client.config.timeoutMs * planPatience);
    const signal = AbortSignal.any([timer, this.#stop.signal]);
    const left = wanted.toReversed();
    let found = 0;
    const worker = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined && !this.#reading.open && !signal.aborted; next = left.pop()) {
        if (await this.#lookUpOne(client, graph, next, signal)) found++;
      }
    };
    await Promise.all(Array.from({ length: Math.min(lookUpsAtOnce, left.length) }, worker));
    if (timer.aborted && left.length > 0 && !this.#reading.open) this.#say(`the shared cache ${client.cache.name} is slow: ${left.length} cells were not looked up`);
    return found;
  }

  /** Brings an artefact here. All that goes wrong is told, and costs no more than making it again. */
  restore(artefact: Artefact): Promise<boolean> {
    let restoring = this.#restoring.get(artefact.digest);
    if (restoring === undefined) {
      restoring = this.#restore(artefact).finally(() => this.#restoring.delete(artefact.digest));
      this.#restoring.set(artefact.digest, restoring);
    }
    return restoring;
  }

  /** The log of a result that was found there; null when it cannot be had, which then has been said. */
  async log(attempt: number): Promise<Buffer | null> {
    const { database } = this.#options.store;
    const digest = database.prepare<[number], { digest: Digest | null }>('SELECT log_digest AS digest FROM attempt WHERE id = ?').get(attempt)?.digest ?? null;
    const contents = digest === null ? null : sharedContents(database, digest);
    const client = contents === null ? null : await this.#connected();
    if (client === null || contents?.kind !== 'file') return null;
    try {
      return await downloadBytes(client.cache, contents.piece, mostLogBytes, { timeoutMs: client.config.timeoutMs, signal: this.#stop.signal });
    } catch (error) {
      if (!(error instanceof BadEntry) && !(error instanceof RemoteTrouble)) throw error;
      this.#say(`the log did not come from the shared cache: ${error.message}`);
      return null;
    }
  }

  /** Whether results are to be pushed as they are made. */
  async writes(): Promise<boolean> {
    const client = await this.#connected();
    if (client === null || !(this.#options.push || client.config.write)) return false;
    if (client.config.signing !== null) return true;
    if (!this.#saidUnsigned) this.#say(`nothing is pushed to the shared cache ${client.cache.name}: there is no key to sign with (\`pipe cache keys generate\`)`);
    this.#saidUnsigned = true;
    return false;
  }

  /** After a commit: whatever goes wrong is told, and the result stands. */
  async pushAfterCommit(cell: string, result: Result): Promise<void> {
    if (this.#writing.open) return;
    try {
      await this.push(result);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof RemoteTrouble)) this.#say(`${cell} was not pushed: ${message}`);
    }
  }

  /** Throws PipeError without a key to sign with, RemoteTrouble when it could not be sent. */
  async push(result: Result): Promise<Pushed> {
    const client = await this.#connected();
    if (client === null) throw new PipeError('there is no shared cache', { exitCode: 2, code: 'no-shared-cache', hint: 'describe one in pipe.cache.yaml, or name it in PIPE_REMOTE_CACHE' });
    const { cache, config, trusted } = client;
    const { signing } = config;
    if (signing === null) {
      throw new PipeError('there is no key to sign records with', { exitCode: 2, code: 'no-signing-key', hint: '`pipe cache keys generate` makes one; elsewhere give it in PIPE_REMOTE_CACHE_KEY' });
    }
    const { pushResult } = await import('./push.ts');
    const { store, version } = this.#options;
    const { signal } = this.#stop;
    const pushed = await this.#writing.guard(() => pushResult(result, {
      store, cache, version, signal, signing, trusted, salt: config.salt, timeoutMs: config.timeoutMs, work: this.#work, sent: this.#sent, distrusted: this.#distrusted,
    }));
    if (pushed.kind !== 'gone') {
      for (const { artefact, contents } of Object.values(pushed.record.outputs)) if (contents !== null) recordShared(store.database, cache.name, artefact.digest, contents);
    }
    return pushed;
  }

  /** The client, for commands that look at the cache itself. */
  async client(): Promise<Client | null> {
    return await this.#connected();
  }

  /** Ends transfers that go on; nothing half sent or half brought counts. */
  close(): void {
    this.#stop.abort();
    void this.#client?.then(client => client?.cache.close(), () => {});
  }

  /** Beside the artefacts, where garbage collection finds what a crash leaves. */
  get #work(): string {
    return join(this.#options.store.cache, 'artefacts');
  }

  #connected(): Promise<Client | null> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<Client | null> {
    const { root, environment } = this.#options;
    const [{ loadSharedCacheConfig }, { connect }] = await Promise.all([import('./config.ts'), import('./connect.ts')]);
    const config = loadSharedCacheConfig(root, environment);
    if (config === null) return null;
    const trusted = new Set(config.trusted.map(({ key }) => key));
    if (config.signing !== null) trusted.add(config.signing.publicKey);
    return { config, trusted, cache: await connect(config) };
  }

  #mayRead({ trusted, cache }: Client): boolean {
    if (this.#reading.open) return false;
    if (trusted.size > 0) return true;
    if (!this.#saidUntrusted) this.#say(`the shared cache ${cache.name} is not asked: no key is trusted (\`pipe cache keys trust NAME KEY\`)`);
    this.#saidUntrusted = true;
    return false;
  }

  #saidUntrusted = false;
  #saidUnsigned = false;

  async #lookUpOne(client: Client, graph: CellGraph, { cell, actionKey, planKey }: Wanted, signal: AbortSignal): Promise<boolean> {
    for (const key of actionKey === null ? [planKey] : [actionKey, planKey]) {
      if (this.#asked.has(key)) continue;
      this.#asked.add(key);
      if (this.#reading.open || signal.aborted) return false;
      try {
        if (await this.#reading.guard(() => this.#take(client, graph, cell, key, planKey, signal))) return true;
      } catch (error) {
        // The breaker has told it.
        if (!(error instanceof RemoteTrouble)) throw error;
      }
    }
    return false;
  }

  async #take({ cache, config, trusted }: Client, graph: CellGraph, cell: Cell, key: Key, planKey: Key, signal: AbortSignal): Promise<boolean> {
    const { store } = this.#options;
    const name = recordName(key, config.salt);
    const how = { timeoutMs: config.timeoutMs, signal };
    let bytes: Buffer | null = null;
    try {
      bytes = await downloadEntry(cache, name, mostRecordBytes, how);
      if (bytes === null) return false;
      const { record } = decodeRecord(bytes, key, trusted);
      const details = decodeDetails(await downloadBytes(cache, record.details, mostDetailsBytes, how));
      checkRecord(cell, { record, details });
      importRecord(store, graph, cell, planKey, { record, details }, cache.name);
      return true;
    } catch (error) {
      if (!(error instanceof BadEntry)) throw error;
      this.#distrust(error);
      if (quarantineEntry(store.cache, name, bytes ?? Buffer.alloc(0), error.message)) this.#say(`${cell.id}: an entry of the shared cache is not used, and put into cache/quarantine: ${error.message}`);
      return false;
    }
  }

  async #restore(artefact: Artefact): Promise<boolean> {
    const { store, packageRoot } = this.#options;
    const { signal } = this.#stop;
    const contents = sharedContents(store.database, artefact.digest);
    const client = contents === null ? null : await this.#connected();
    if (contents === null || client === null || this.#reading.open) return false;
    const [{ restoreArtefact }, { workerFile }] = await Promise.all([import('./restore.ts'), import('./restore-threads.ts')]);
    try {
      await this.#reading.guard(() => restoreArtefact(artefact, contents, {
        cache: client.cache, work: this.#work, artefacts: store.artefacts, timeoutMs: client.config.timeoutMs, ca: client.config.ca, signal,
        threads: { worker: workerFile(packageRoot), settings: settingsOf(client.config) },
      }));
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (error instanceof BadEntry) {
        this.#distrust(error);
        forgetShared(store.database, artefact.digest);
        quarantineEntry(store.cache, `cas/${artefact.digest}`, Buffer.from(JSON.stringify(contents)), error.message);
        this.#say(`${artefact.name} cannot be taken from the shared cache, and is made again: ${error.message}`);
        return false;
      }
      if (error instanceof RemoteTrouble) {
        this.#say(`${artefact.name} did not come from the shared cache, and is made again: ${error.message}`);
        return false;
      }
      if (error instanceof LocalTrouble) throw new PipeError(error.message, { exitCode: 1, code: 'restore-failed', cause: error });
      throw error;
    }
  }

  #distrust({ stored }: BadEntry): void {
    if (stored !== null) this.#distrusted.add(stored);
  }

  #say(text: string): void {
    if (this.#listener === null) this.#notices.push(text);
    else this.#listener(text);
  }
}

/** What a thread needs to connect, as values that can be sent to it. */
function settingsOf({ url, authorization, ca, timeoutMs, s3 }: SharedCacheConfig): WorkerSettings {
  return { url: url.href, authorization, ca, timeoutMs, s3 };
}
