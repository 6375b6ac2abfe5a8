/**
 * zstd in frames of one mebibyte: a blob is frames one after the other, which `zstd -d` reads as one file, and of which
 * no more than one has to be in memory. Node has zstd from 22.15; before that it is a WebAssembly build of the library.
 */
import * as zlib from 'node:zlib';
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import { BadEntry } from './remote.ts';

interface Codec {
  compress(data: Uint8Array): Promise<Uint8Array>;
  decompress(frame: Uint8Array): Promise<Uint8Array>;
}

export const frameBytes = 1 << 20;
/** Worst case of a frame of that many bytes that does not compress. */
const mostCompressed = frameBytes + (frameBytes >> 8) + 64;
const level = 3;

let codec: Promise<Codec> | null = null;

function theCodec(): Promise<Codec> {
  codec ??= loadCodec();
  return codec;
}

type Coded = (data: Uint8Array, options: object, done: (error: Error | null, result: Buffer) => void) => void;
interface NewerZlib {
  readonly zstdCompress?: Coded;
  readonly zstdDecompress?: Coded;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

async function loadCodec(): Promise<Codec> {
  const { zstdCompress, zstdDecompress, constants } = zlib as NewerZlib;
  if (zstdCompress !== undefined && zstdDecompress !== undefined) {
    const call = (code: Coded, data: Uint8Array, options: object): Promise<Uint8Array> =>
      new Promise((resolve, reject) => code(data, options, (error, result) => (error === null ? resolve(result) : reject(error))));
    const params = { [constants.ZSTD_c_compressionLevel ?? 100]: level };
    // A decoder that is told how much may come out stops there.
    return { compress: data => call(zstdCompress, data, { params }), decompress: frame => call(zstdDecompress, frame, { maxOutputLength: frameBytes }) };
  }
  const wasm = await import('@bokuweb/zstd-wasm');
  await wasm.init();
  return { compress: data => Promise.resolve(wasm.compress(data, level)), decompress: frame => Promise.resolve(wasm.decompress(frame)) };
}

/** Whole frames out of any bytes. */
export class Compress extends Transform {
  #held: Buffer[] = [];
  #bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#held.push(chunk);
    this.#bytes += chunk.length;
    this.#emit(false).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.#emit(true).then(() => done(), done);
  }

  async #emit(end: boolean): Promise<void> {
    if (this.#bytes < frameBytes && !end) return;
    let all = Buffer.concat(this.#held);
    while (all.length >= frameBytes || (end && all.length > 0)) {
      this.push(await compressFrame(all.subarray(0, frameBytes)));
      all = all.subarray(frameBytes);
    }
    this.#held = all.length === 0 ? [] : [all];
    this.#bytes = all.length;
  }
}

export async function compressFrame(data: Uint8Array): Promise<Buffer> {
  const frame = await (await theCodec()).compress(data);
  return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
}

/** The bytes that frames hold. Anything that `Compress` would not have written is a BadEntry. */
export class Decompress extends Transform {
  #held: Buffer = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#emit().then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    done(this.#held.length === 0 ? null : new BadEntry('its compressed data end in the middle'));
  }

  async #emit(): Promise<void> {
    for (;;) {
      const frame = frameAt(this.#held);
      if (frame === null) return;
      let content: Uint8Array;
      try {
        content = await (await theCodec()).decompress(this.#held.subarray(0, frame.bytes));
      } catch {
        throw new BadEntry('its compressed data cannot be read');
      }
      if (content.length !== frame.content) throw new BadEntry('its compressed data hold another number of bytes than they say');
      this.push(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
      this.#held = this.#held.subarray(frame.bytes);
    }
  }
}

/**
 * Where the first frame ends, by its headers (RFC 8878, 3.1.1), and how much it holds; null until all of it is there.
 * What it says it holds is checked before anything is unpacked.
 */
export function frameAt(data: Buffer): { readonly bytes: number; readonly content: number } | null {
  if (data.length < 5) return null;
  if (data.readUInt32LE(0) !== 0xfd2fb528) throw new BadEntry('its compressed data are no zstd');
  const descriptor = data[4]!;
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (sizeBytes === 0) throw new BadEntry('its compressed data do not say how much they hold');
  if (data.length < at + sizeBytes) return null;
  const content = sizeBytes === 1 ? data[at]! : sizeBytes === 2 ? data.readUInt16LE(at) + 256 : sizeBytes === 4 ? data.readUInt32LE(at) : Number(data.readBigUInt64LE(at));
  if (content > frameBytes) throw new BadEntry('its compressed data hold more than a frame may');
  let end = at + sizeBytes;
  for (;;) {
    if (end > mostCompressed) throw new BadEntry('a frame of its compressed data is too long');
    if (data.length < end + 3) return null;
    const header = data.readUIntLE(end, 3);
    // A run-length block holds one byte, whatever length it stands for.
    end += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
    if ((header & 1) === 1) break;
  }
  end += (descriptor & 4) !== 0 ? 4 : 0;
  return data.length < end ? null : { bytes: end, content };
}
