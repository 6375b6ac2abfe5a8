/** Blobs into a shared cache: compressed where that is worth it, named by their digest, sent unless they are there. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fsPath, sha256 } from '../store/file-bytes.ts';
import { deadline } from './blob-download.ts';
import type { BlobReference, Piece } from './contents.ts';
import { networkTrouble } from './network-trouble.ts';
import type { Pack } from './pack.ts';
import type { RemoteBody, SharedCache } from './remote.ts';
import { Compress, compressFrame, frameBytes } from './zstd.ts';

export interface UploadOptions {
  readonly cache: SharedCache;
  /** For what has to be compressed before its name is known. */
  readonly work: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | null;
  /** Digests of blobs that have been found to hold something else there: they are sent again. */
  readonly distrusted: ReadonlySet<string>;
}

const readAhead = 1 << 20;
/** Not worth the work of unpacking unless it saves a tenth. */
const worthwhile = 0.9;
let temporary = 0;

/** Bytes that are in memory, such as a list of files. */
export async function uploadBytes(bytes: Buffer, options: UploadOptions): Promise<BlobReference> {
  const packed = bytes.length < 512 ? bytes : await compressAll(bytes);
  const smaller = packed.length < bytes.length * worthwhile;
  const body = smaller ? packed : bytes;
  const reference: BlobReference = { stored: sha256(body), storedSize: body.length, encoding: smaller ? 'zstd' : 'identity', size: bytes.length };
  await send(reference, () => Readable.from(chunksOf(body)), options);
  return reference;
}

/** The files of a pack, one after the other; `pathOf` gives their byte paths. */
export async function uploadPack(pack: Pack, pathOf: (path: string) => string, options: UploadOptions): Promise<Piece> {
  const [first] = pack.files;
  if (pack.files.length === 1 && first !== undefined && first.size > frameBytes) {
    const path = pathOf(first.path);
    const reference = (await compresses(path, first.size)) ? await uploadCompressed(path, first.size, options) : await uploadPlain(path, first.digest, first.size, options);
    return { ...reference, files: pack.files };
  }
  const parts: Buffer[] = [];
  for (const { path } of pack.files) parts.push(await readFile(fsPath(pathOf(path))));
  return { ...(await uploadBytes(Buffer.concat(parts), options)), files: pack.files };
}

async function uploadPlain(path: string, digest: string, size: number, options: UploadOptions): Promise<BlobReference> {
  const reference: BlobReference = { stored: digest, storedSize: size, encoding: 'identity', size };
  await send(reference, () => createReadStream(fsPath(path), { highWaterMark: readAhead }), options);
  return reference;
}

async function uploadCompressed(path: string, size: number, options: UploadOptions): Promise<BlobReference> {
  const packed = join(options.work, `.incoming-${process.pid}-upload-${temporary++}`);
  const hash = createHash('sha256');
  let storedSize = 0;
  try {
    await pipeline(createReadStream(fsPath(path), { highWaterMark: readAhead }), new Compress(), async function* (frames: AsyncIterable<Buffer>) {
      for await (const frame of frames) {
        hash.update(frame);
        storedSize += frame.length;
        yield frame;
      }
    }, createWriteStream(packed, { flags: 'wx' }));
    const reference: BlobReference = { stored: hash.digest('hex'), storedSize, encoding: 'zstd', size };
    await send(reference, () => createReadStream(packed, { highWaterMark: readAhead }), options);
    return reference;
  } finally {
    await rm(packed, { force: true });
  }
}

/** By a frame out of its middle: weights and images do not, tables and texts do. */
async function compresses(path: string, size: number): Promise<boolean> {
  const sample = Buffer.alloc(Math.min(frameBytes, size));
  const file = await open(fsPath(path), 'r');
  try {
    const { bytesRead } = await file.read(sample, 0, sample.length, Math.floor((size - sample.length) / 2));
    return (await compressFrame(sample.subarray(0, bytesRead))).length < bytesRead * worthwhile;
  } finally {
    await file.close();
  }
}

async function compressAll(bytes: Buffer): Promise<Buffer> {
  const frames: Buffer[] = [];
  for (const chunk of chunksOf(bytes)) frames.push(await compressFrame(chunk));
  return Buffer.concat(frames);
}

async function send({ stored, storedSize }: BlobReference, openBytes: () => Readable, { cache, timeoutMs, signal, distrusted }: UploadOptions): Promise<void> {
  const body: RemoteBody = { size: storedSize, sha256: stored, open: openBytes };
  const bounded = deadline(timeoutMs, storedSize, signal);
  try {
    const there = await cache.head(`cas/${stored}`, bounded);
    if (there !== null && !distrusted.has(stored) && (there.size === null || there.size === storedSize)) return;
    // One of another length or content was cut off, or is not what it says: it is replaced.
    await cache.put(`cas/${stored}`, body, { replace: there !== null }, bounded);
  } catch (error) {
    throw signal?.aborted === true ? error : networkTrouble(error, `PUT ${cache.name}/cas/${stored}`);
  }
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += frameBytes) yield bytes.subarray(at, at + frameBytes);
}
