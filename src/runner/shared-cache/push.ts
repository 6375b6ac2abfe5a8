/** A result into a shared cache: its blobs first, its records last, so that nobody finds a record without its blobs. */
import { readFileSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { bytePath, errorCode, sha256 } from '../store/file-bytes.ts';
import { metricsOf, notesOf } from '../store/history.ts';
import type { Artefact, Key } from '../store/model.ts';
import type { Outputs } from '../store/results.ts';
import type { Store } from '../store/store.ts';
import { deadline, downloadContents, downloadEntry } from './blob-download.ts';
import { uploadBytes, uploadPack } from './blob-upload.ts';
import type { UploadOptions } from './blob-upload.ts';
import type { BlobReference, ContentsReference, Contents, Piece } from './contents.ts';
import { listEntries } from './list-entries.ts';
import { packFiles } from './pack.ts';
import { decodeRecord, encodeDetails, encodeRecord, mostLogBytes, mostRecordBytes, recordName } from './record.ts';
import type { SharedOutput, SharedRecord, Verified } from './record.ts';
import { BadEntry } from './remote.ts';
import type { PublicKeyText, SigningKey } from './signing-key.ts';

/** What is pushed of one cell. */
export interface Result {
  readonly attempt: number;
  readonly actionKey: Key;
  readonly planKey: Key | null;
  readonly outputs: Outputs;
  /** Names of outputs that are not kept. */
  readonly temp: ReadonlySet<string>;
}

export interface PushOptions extends UploadOptions {
  readonly store: Store;
  readonly salt: string;
  readonly signing: SigningKey;
  readonly trusted: ReadonlySet<PublicKeyText>;
  readonly version: string;
  /** Artefacts that this process has sent or is sending. */
  readonly sent: Map<string, Promise<ContentsReference>>;
}

/** `there`: a record that can be trusted was there before. `gone`: its outputs are not here, or are damaged. */
export type Pushed = { readonly kind: 'pushed' | 'there'; readonly record: SharedRecord } | { readonly kind: 'gone'; readonly output: string };

const packsAtOnce = 4;
const looksAtOnce = 8;

export async function pushResult(result: Result, options: PushOptions): Promise<Pushed> {
  const before = await existing(result.actionKey, options);
  if (before !== null && (await isWhole(before.record, options))) {
    if (result.planKey !== null && before.record.planKey === result.planKey && sameOutputs(before.record, result.outputs)) await putRecord(result.planKey, before.bytes, before.record, false, options);
    return { kind: 'there', record: before.record };
  }
  const outputs: Record<string, SharedOutput> = {};
  for (const [name, artefact] of Object.entries(result.outputs)) {
    if (result.temp.has(name)) {
      outputs[name] = { artefact, contents: null };
      continue;
    }
    if (options.store.artefacts.present(artefact) !== 'here') return { kind: 'gone', output: name };
    outputs[name] = { artefact, contents: await pushArtefact(artefact, options) };
    // What was sent is what it was: nobody changed it meanwhile.
    if (options.store.artefacts.present(artefact) !== 'here') return { kind: 'gone', output: name };
  }
  const record = await describe(result, outputs, options);
  const bytes = encodeRecord(record, options.signing);
  if (bytes.length > mostRecordBytes) throw new Error('the record is too long to be shared');
  const replace = before !== null;
  await putRecord(result.actionKey, bytes, record, replace, options);
  if (result.planKey !== null) await putRecord(result.planKey, bytes, record, replace, options);
  return { kind: 'pushed', record };
}

function pushArtefact(artefact: Artefact, options: PushOptions): Promise<ContentsReference> {
  let sending = options.sent.get(artefact.digest);
  if (sending === undefined) {
    sending = sendArtefact(artefact, options);
    options.sent.set(artefact.digest, sending);
    sending.catch(() => options.sent.delete(artefact.digest));
  }
  return sending;
}

async function sendArtefact(artefact: Artefact, options: PushOptions): Promise<ContentsReference> {
  const base = bytePath(options.store.artefacts.pathOf(artefact));
  const entries = listEntries(artefact, options.store.artefacts);
  const pathOf = (path: string): string => (artefact.type === 'file' ? base : `${base}/${path}`);
  const packs = packFiles(entries);
  const pieces: Piece[] = new Array<Piece>(packs.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < packs.length) {
      const index = next++;
      pieces[index] = await uploadPack(packs[index]!, pathOf, options);
    }
  };
  await Promise.all(Array.from({ length: Math.min(packsAtOnce, packs.length) }, worker));
  if (artefact.type === 'file') return { kind: 'file', piece: pieces[0]! };
  const contents: Contents = {
    // Parents before what they hold: by length of the path is enough.
    folders: entries.filter(({ type, relative }) => type === 'd' && relative !== '').map(({ relative }) => relative).sort((a, b) => a.length - b.length || (a < b ? -1 : 1)),
    links: entries.flatMap(({ type, relative, target }) => (type === 'l' ? [{ path: relative, target }] : [])),
    pieces,
  };
  return { kind: 'folder', manifest: await uploadBytes(Buffer.from(JSON.stringify(contents)), options) };
}

async function describe(result: Result, outputs: SharedRecord['outputs'], options: PushOptions): Promise<SharedRecord> {
  const { store } = options;
  const attempt = store.results.attempt(result.attempt);
  if (attempt === null) throw new Error(`there is no attempt ${result.attempt}`);
  const details = encodeDetails({
    manifest: store.results.manifestOf(attempt.id),
    metrics: metricsOf(store.database, attempt.id).map(({ name, step, value }) => [name, step, Number.isFinite(value) ? value : String(value)] as const),
    notes: notesOf(store.database, attempt.id),
    platform: attempt.platform,
  });
  return {
    actionKey: result.actionKey, planKey: result.planKey, stage: attempt.stage, cell: attempt.cell, outputs,
    exitCode: attempt.exitCode, startedAt: attempt.startedAt, endedAt: attempt.endedAt ?? attempt.startedAt, cpuSeconds: attempt.cpuSeconds,
    peakMemoryBytes: attempt.peakMemoryBytes, gpu: attempt.gpu, host: attempt.host, version: options.version,
    log: await pushLog(attempt.log, options), details: await uploadBytes(details, options),
  };
}

async function pushLog(path: string, options: PushOptions): Promise<SharedRecord['log']> {
  let bytes: Buffer;
  try {
    if (statSync(path).size > mostLogBytes) return null;
    bytes = readFileSync(path);
  } catch (error) {
    // Logs may be deleted at any time.
    if (errorCode(error) !== null) return null;
    throw error;
  }
  return { digest: sha256(bytes), blob: await uploadBytes(bytes, options) };
}

/** A record that is there and can be trusted; null for none and for one that is to be replaced. */
async function existing(key: Key, options: PushOptions): Promise<(Verified & { readonly bytes: Buffer }) | null> {
  try {
    const bytes = await downloadEntry(options.cache, recordName(key, options.salt), mostRecordBytes, options);
    return bytes === null ? null : { ...decodeRecord(bytes, key, options.trusted), bytes };
  } catch (error) {
    if (error instanceof BadEntry) return null;
    throw error;
  }
}

/** Whether all that a record names is there: a server may have dropped what was not read for long, and then nobody can use the record. */
async function isWhole(record: SharedRecord, options: PushOptions): Promise<boolean> {
  const { cache, timeoutMs, signal, distrusted } = options;
  const isThere = async ({ stored, storedSize }: BlobReference): Promise<boolean> => {
    if (distrusted.has(stored)) return false;
    const found = await cache.head(`cas/${stored}`, deadline(timeoutMs, 0, signal));
    return found !== null && (found.size === null || found.size === storedSize);
  };
  const left: BlobReference[] = [record.details];
  for (const { contents } of Object.values(record.outputs)) {
    if (contents?.kind === 'file') left.push(contents.piece);
    else if (contents !== null) {
      if (!(await isThere(contents.manifest))) return false;
      try {
        left.push(...(await downloadContents(cache, contents.manifest, options)).pieces);
      } catch (error) {
        if (error instanceof BadEntry) return false;
        throw error;
      }
    }
  }
  let whole = true;
  const worker = async (): Promise<void> => {
    for (let blob = left.pop(); blob !== undefined && whole; blob = left.pop()) whole = (await isThere(blob)) && whole;
  };
  await Promise.all(Array.from({ length: Math.min(looksAtOnce, left.length) }, worker));
  return whole;
}

async function putRecord(key: Key, bytes: Buffer, record: SharedRecord, replace: boolean, options: PushOptions): Promise<void> {
  const { cache, timeoutMs, signal, salt } = options;
  const name = recordName(key, salt);
  const body = { size: bytes.length, sha256: sha256(bytes), open: () => Readable.from([bytes]) };
  const bounded = deadline(timeoutMs, bytes.length, signal);
  if ((await cache.put(name, body, { replace }, bounded)) === 'stored') return;
  // Somebody was first. Theirs stands if it is one that readers will take.
  const theirs = await existing(key, options);
  if (theirs === null || (theirs.record.actionKey !== record.actionKey && theirs.record.planKey !== key)) await cache.put(name, body, { replace: true }, bounded);
}

function sameOutputs(record: SharedRecord, outputs: Outputs): boolean {
  return Object.entries(outputs).every(([name, { digest }]) => record.outputs[name]?.artefact.digest === digest);
}
