/** Blobs from a shared cache, checked while they come: what is stored by its digest and size, then what it holds. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import type { Json } from '../json.ts';
import { readContents } from './contents.ts';
import type { BlobReference, Contents } from './contents.ts';
import type { DirectGets } from './direct-get.ts';
import { networkTrouble } from './network-trouble.ts';
import { BadEntry, RemoteTrouble } from './remote.ts';
import type { PlainGet, RemoteName, SharedCache } from './remote.ts';
import { Decompress } from './zstd.ts';

/** However slowly it trickles: the silence that is allowed, four times, and a second for each of so many bytes. */
const slowestPerSecond = 100_000;

/** An end to everything that a request may take. */
export function deadline(timeoutMs: number, bytes: number, signal: AbortSignal | null): AbortSignal {
  const own = AbortSignal.timeout(Math.min(2 ** 31 - 1, timeoutMs * 4 + Math.ceil((bytes / slowestPerSecond) * 1000)));
  return signal === null ? own : AbortSignal.any([signal, own]);
}

/**
 * Sends what a blob holds into `to`. Throws BadEntry when it is not there or not what its digest says, and
 * RemoteTrouble when it did not come. By then `to` may have got some of it.
 */
export async function downloadBlob(cache: SharedCache, blob: BlobReference, to: Writable, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<void> {
  const name: RemoteName = `cas/${blob.stored}`;
  const signal = deadline(how.timeoutMs, blob.storedSize, how.signal);
  const found = await cache.get(name, signal);
  if (found === null) throw new BadEntry(`${name} is not there`);
  if (found.size !== null && found.size !== blob.storedSize) {
    found.stream.on('error', () => {}).destroy();
    throw new BadEntry(`${name} has ${found.size} bytes and should have ${blob.storedSize}`);
  }
  const check = new CheckStored(blob);
  try {
    if (blob.encoding === 'zstd') await pipeline(found.stream, check, new Decompress(), to, { signal });
    else await pipeline(found.stream, check, to, { signal });
  } catch (error) {
    if (error instanceof BadEntry || error instanceof LocalTrouble) throw error;
    if (how.signal?.aborted === true) throw error;
    throw networkTrouble(error, `GET ${cache.name}/${name}`);
  }
}

/** Smaller ones gain nothing by it. */
const worthDirect = 1 << 20;

export const isWorthDirect = ({ encoding, storedSize }: BlobReference): boolean => encoding === 'identity' && storedSize >= worthDirect;

export interface PieceSource {
  /** Whom to ask where the server answers otherwise than plainly. */
  readonly cache: () => SharedCache | Promise<SharedCache>;
  readonly gets: DirectGets;
  /** Of the cache, for a blob that is `worthDirect`; null for others. */
  readonly request: PlainGet | null;
}

/** As `downloadBlob`, by the shortest way that there is. */
export async function downloadPiece({ cache, gets, request }: PieceSource, blob: BlobReference, to: Writable, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<void> {
  try {
    if (request !== null && (await downloadDirect(gets, request, blob, to, how))) return;
    await downloadBlob(await cache(), blob, to, how);
  } finally {
    await closed(to);
  }
}

/** Ends it, and waits until it has nothing to do with files any more: those of a piece that failed are removed next. */
async function closed(to: Writable): Promise<void> {
  to.destroy();
  if (!to.closed) await new Promise<void>(resolve => void to.once('close', resolve));
}

/** False when the server did not answer plainly: then nothing has been sent into `to`, which is as it was. */
async function downloadDirect(gets: DirectGets, request: PlainGet, blob: BlobReference, to: Writable, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<boolean> {
  const hash = createHash('sha256');
  const ended = finished(to);
  ended.catch(() => undefined);
  try {
    const came = await gets.get(request, blob.storedSize, async bytes => {
      // Written by another thread while it is hashed here.
      const written = new Promise<void>((resolve, reject) => to.write(bytes, error => (error ? reject(error) : resolve())));
      hash.update(bytes);
      await written;
    }, deadline(how.timeoutMs, blob.storedSize, how.signal));
    if (!came) return false;
    const digest = hash.digest('hex');
    if (digest !== blob.stored) throw wrongBytes(blob, digest);
    to.end();
    await ended;
    return true;
  } catch (error) {
    if (error instanceof BadEntry || error instanceof LocalTrouble) throw error;
    if (how.signal?.aborted === true) throw error;
    const { origin, pathname } = new URL(request.url);
    throw networkTrouble(error, `GET ${origin}${pathname}`);
  }
}

/** What a small blob holds, or the whole of an entry. */
export async function downloadBytes(cache: SharedCache, blob: BlobReference, most: number, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<Buffer> {
  if (blob.size > most || blob.storedSize > most) throw new BadEntry(`cas/${blob.stored} is too large`);
  const chunks: Buffer[] = [];
  const sink = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  sink.resume();
  await downloadBlob(cache, blob, sink, how);
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== blob.size) throw new BadEntry(`cas/${blob.stored} holds ${bytes.length} bytes and should hold ${blob.size}`);
  return bytes;
}

/** Longer lists of files are not read: some millions of them. */
const mostManifestBytes = 512 << 20;

/** The list of what a folder consists of, checked. */
export async function downloadContents(cache: SharedCache, manifest: BlobReference, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<Contents> {
  const bytes = await downloadBytes(cache, manifest, mostManifestBytes, how);
  try {
    return readContents(JSON.parse(bytes.toString('utf8')) as Json);
  } catch (error) {
    if (error instanceof SyntaxError) throw new BadEntry('its list of files is no JSON');
    throw error;
  }
}

/** An entry `ac/…` as it is; null when there is none. */
export async function downloadEntry(cache: SharedCache, name: RemoteName, most: number, how: { readonly timeoutMs: number; readonly signal: AbortSignal | null }): Promise<Buffer | null> {
  const signal = deadline(how.timeoutMs, most, how.signal);
  const found = await cache.get(name, signal);
  if (found === null) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of found.stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > most) throw new BadEntry(`${name} is longer than a record may be`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BadEntry || error instanceof RemoteTrouble) throw error;
    throw networkTrouble(error, `GET ${cache.name}/${name}`);
  }
  return Buffer.concat(chunks);
}

/** The disk of this machine is at fault: full, most likely. */
export class LocalTrouble extends Error {
  override readonly name = 'LocalTrouble';
}

/** Lets bytes through and counts and hashes them; nothing beyond the size, and an error at the end unless all is right. */
class CheckStored extends Transform {
  readonly #blob: BlobReference;
  readonly #hash: Hash = createHash('sha256');
  #bytes = 0;

  constructor(blob: BlobReference) {
    super({ highWaterMark: 1 << 20 });
    this.#blob = blob;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#blob.storedSize) return done(new BadEntry(`cas/${this.#blob.stored} is longer than its record says`));
    this.#hash.update(chunk);
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    if (this.#bytes < this.#blob.storedSize) return done(new BadEntry(`cas/${this.#blob.stored} was cut off after ${this.#bytes} of ${this.#blob.storedSize} bytes`));
    const digest = this.#hash.digest('hex');
    done(digest === this.#blob.stored ? null : wrongBytes(this.#blob, digest));
  }
}

const wrongBytes = ({ stored }: BlobReference, digest: string): BadEntry => new BadEntry(`cas/${stored} holds other bytes than its name says (${digest})`, stored);
