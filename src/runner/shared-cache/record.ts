/**
 * What a key stands for in a shared cache, `ac/<name>`: JSON of the record's text, who signed it, and the signature.
 * What is signed holds the keys, so that a record cannot be moved to another name.
 */
import { createHmac } from 'node:crypto';
import type { Json, JsonObject } from '../json.ts';
import { canonicalJson } from '../store/canonical-json.ts';
import type { Artefact, Digest, Key } from '../store/model.ts';
import { count, object, readBlobReference, readContentsReference, text } from './contents.ts';
import type { BlobReference, ContentsReference } from './contents.ts';
import { BadEntry } from './remote.ts';
import type { RemoteName } from './remote.ts';
import { parsePublicKey, signedBy } from './signing-key.ts';
import type { PublicKeyText, SigningKey } from './signing-key.ts';

export interface SharedOutput {
  readonly artefact: Artefact;
  /** Null for a `temp: true` output: known by its digest, and not kept. */
  readonly contents: ContentsReference | null;
}

export interface SharedRecord {
  readonly actionKey: Key;
  /** Null where a plan key may not stand for the result. */
  readonly planKey: Key | null;
  readonly stage: string;
  readonly cell: string;
  readonly outputs: Readonly<Record<string, SharedOutput>>;
  readonly exitCode: number | null;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly cpuSeconds: number | null;
  readonly peakMemoryBytes: number | null;
  readonly gpu: string | null;
  readonly host: string;
  /** Of the program that made it. */
  readonly version: string;
  /** SHA-256 of the log's bytes, and the blob that holds it; null when it was too long or gone. */
  readonly log: { readonly digest: string; readonly blob: BlobReference } | null;
  /** JSON of `ResultDetails`. */
  readonly details: BlobReference;
}

/** Longer ones are not read. */
export const mostRecordBytes = 1 << 20;
/** Longer logs are not shared. */
export const mostLogBytes = 8 << 20;
const format = 1;
const signedHeader = 'pipe shared record\n';

/** The salt of a trust domain goes into the names alone: who does not know it finds nothing, and no key changes. */
export function recordName(key: Key, salt: string): RemoteName {
  return `ac/${salt === '' ? key : createHmac('sha256', salt).update(`pipe record ${key}`).digest('hex')}`;
}

export function encodeRecord(record: SharedRecord, key: SigningKey): Buffer {
  const body = canonicalJson({ format, ...record } as unknown as Json);
  return Buffer.from(JSON.stringify({ record: body, signer: key.publicKey, signature: key.sign(signedHeader + body) }));
}

export interface Verified {
  readonly record: SharedRecord;
  readonly signer: PublicKeyText;
}

/** Throws BadEntry for what is not a whole record of this key, signed by somebody trusted. */
export function decodeRecord(bytes: Buffer, key: Key, trusted: ReadonlySet<PublicKeyText>): Verified {
  const envelope = object(parse(bytes.toString('utf8')), 'an entry');
  const { record: body, signer, signature } = envelope;
  if (typeof body !== 'string') throw new BadEntry('it holds no record');
  if (typeof signer !== 'string' || typeof signature !== 'string') throw new BadEntry('it is not signed');
  const publicKey = parsePublicKey(signer);
  if (publicKey === null) throw new BadEntry('it is not signed by an Ed25519 key');
  if (!trusted.has(publicKey)) throw new BadEntry(`it is signed by ${publicKey}, whom nobody here trusts`);
  if (!signedBy(publicKey, signedHeader + body, signature)) throw new BadEntry(`its signature by ${publicKey} is not right`);
  const record = readRecord(parse(body));
  if (record.actionKey !== key && record.planKey !== key) throw new BadEntry('it is the record of another key');
  return { record, signer: publicKey };
}

function readRecord(value: Json): SharedRecord {
  const fields = object(value, 'a record');
  if (fields['format'] !== format) throw new BadEntry(`a record of the format ${JSON.stringify(fields['format'] ?? null)}, which this program does not know`);
  const outputs = Object.fromEntries(Object.entries(object(fields['outputs'], 'outputs')).map(([name, output]) => [name, readOutput(output)]));
  const log = fields['log'];
  return {
    actionKey: keyOf(fields['actionKey']), planKey: fields['planKey'] === null ? null : keyOf(fields['planKey']),
    stage: text(fields['stage']), cell: text(fields['cell']), outputs,
    exitCode: numberOrNull(fields['exitCode']), startedAt: count(fields['startedAt']), endedAt: count(fields['endedAt']), cpuSeconds: numberOrNull(fields['cpuSeconds']),
    peakMemoryBytes: numberOrNull(fields['peakMemoryBytes']), gpu: fields['gpu'] === null ? null : text(fields['gpu']), host: text(fields['host']), version: text(fields['version']),
    log: log === null || log === undefined ? null : { digest: keyOf(object(log, 'a log')['digest']), blob: readBlobReference(object(log, 'a log')['blob']) },
    details: readBlobReference(fields['details']),
  };
}

function readOutput(value: Json | undefined): SharedOutput {
  const { artefact: given, contents } = object(value, 'an output');
  const { digest, name, type, size, files } = object(given, 'an output');
  const nameText = text(name);
  if (nameText === '' || nameText === '.' || nameText === '..' || /[/\0]/.test(nameText)) throw new BadEntry(`an output with the name ${JSON.stringify(nameText)}`);
  if (type !== 'file' && type !== 'folder') throw new BadEntry('an output that is neither a file nor a folder');
  const artefact: Artefact = { digest: keyOf(digest) as string as Digest, name: nameText, type, size: count(size), files: count(files) };
  const reference = contents === null ? null : readContentsReference(contents);
  if (reference !== null && reference.kind !== type) throw new BadEntry('an output that is a file and a folder');
  if (reference?.kind === 'file' && reference.piece.size !== artefact.size) throw new BadEntry('an output of two sizes');
  return { artefact, contents: reference };
}

function parse(source: string): Json {
  try {
    return JSON.parse(source) as Json;
  } catch {
    throw new BadEntry('it is no JSON, or not all of it');
  }
}

function keyOf(value: Json | undefined): Key {
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) throw new BadEntry('a digest that is none');
  return value as Key;
}

function numberOrNull(value: Json | undefined): number | null {
  if (value === null) return null;
  if (typeof value !== 'number') throw new BadEntry('a number is missing');
  return value;
}

/** What tables, `why` and plots need of a result, in a blob of its own because curves are long. */
export interface ResultDetails {
  readonly manifest: readonly { readonly part: string; readonly value: Json; readonly ignored?: true }[];
  /** NaN and infinities as texts. */
  readonly metrics: readonly (readonly [name: string, step: number | null, value: number | string])[];
  readonly notes: readonly string[];
  readonly platform: JsonObject;
}

/** Longer ones are not read. */
export const mostDetailsBytes = 64 << 20;

export function encodeDetails(details: ResultDetails): Buffer {
  return Buffer.from(JSON.stringify(details));
}

export function decodeDetails(bytes: Buffer): ResultDetails {
  const { manifest, metrics, notes, platform } = object(parse(bytes.toString('utf8')), 'details');
  if (!Array.isArray(manifest) || !Array.isArray(metrics) || !Array.isArray(notes)) throw new BadEntry('details without their lists');
  return {
    manifest: (manifest as readonly Json[]).map(item => {
      const { part, value, ignored } = object(item, 'a part');
      return { part: text(part), value: value ?? null, ...(ignored === true ? { ignored } : {}) };
    }),
    metrics: (metrics as readonly Json[]).map(item => {
      if (!Array.isArray(item)) throw new BadEntry('a metric that is none');
      const [name, step, value] = item as readonly (Json | undefined)[];
      if (typeof value !== 'number' && typeof value !== 'string') throw new BadEntry('a metric without a value');
      return [text(name), numberOrNull(step), value] as const;
    }),
    notes: (notes as readonly Json[]).map(text),
    platform: object(platform, 'the platform') as JsonObject,
  };
}
