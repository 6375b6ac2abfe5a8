/**
 * Names on disk are bytes, not text: a file may have a name that is not UTF-8. Inside the store a path is a *byte
 * path*, a string with one character for each byte (latin1). Its plain string order is the order by bytes, and it
 * equals the ordinary path as long as that is ASCII.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { BigIntStats, Stats } from 'node:fs';
import { createHash, hash } from 'node:crypto';
import { PipeError } from '../diagnostic.ts';
import type { Digest } from './model.ts';

const ascii = /^[\x00-\x7f]*$/;

export function isAscii(text: string): boolean {
  return ascii.test(text);
}

/** An ordinary path as a byte path. */
export function bytePath(path: string): string {
  return ascii.test(path) ? path : Buffer.from(path, 'utf8').toString('latin1');
}

/** What node:fs takes for a byte path. */
export function fsPath(bytes: string): string | Buffer {
  return ascii.test(bytes) ? bytes : Buffer.from(bytes, 'latin1');
}

/** For messages and lists: as UTF-8, bytes that are not become \xNN. */
export function shownPath(bytes: string): string {
  if (ascii.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  const text = buffer.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(buffer)) return text;
  return bytes.replace(/[^\x20-\x7e]/g, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export function sha256(data: string | Uint8Array): Digest {
  return hash('sha256', data, 'hex') as Digest;
}

/** Files up to this size are read whole. */
const chunkSize = 1 << 20;
const chunk = Buffer.allocUnsafe(chunkSize);

/**
 * SHA-256 of a file's bytes, 32 raw bytes. Errors name the path. `size`, where its stat says so, spares the read that
 * finds the end of a small file.
 */
export function hashFile(bytes: string, size?: bigint): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(fsPath(bytes), 'r');
  } catch (error) {
    throw fileTrouble(bytes, error);
  }
  try {
    let count = readSync(descriptor, chunk, 0, chunkSize, null);
    if (count < chunkSize) {
      if (size === BigInt(count)) return hash('sha256', chunk.subarray(0, count), 'buffer');
      // A short read is nearly always the end; a second read that finds nothing proves it.
      const more = readSync(descriptor, chunk, count, chunkSize - count, null);
      if (more === 0) return hash('sha256', chunk.subarray(0, count), 'buffer');
      count += more;
    }
    const state = createHash('sha256');
    while (count > 0) {
      state.update(chunk.subarray(0, count));
      count = readSync(descriptor, chunk, 0, chunkSize, null);
    }
    return state.digest();
  } catch (error) {
    throw fileTrouble(bytes, error);
  } finally {
    closeSync(descriptor);
  }
}

/** The git rule: executable by its owner. */
export function isExecutable({ mode }: Pick<Stats, 'mode'> | Pick<BigIntStats, 'mode'>): boolean {
  return (Number(mode) & 0o100) !== 0;
}

/** What went wrong with a path while it was being read, as an expected failure that names it. */
export function fileTrouble(bytes: string, error: unknown): PipeError {
  if (error instanceof PipeError) return error;
  const code = errorCode(error);
  const path = shownPath(bytes);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new PipeError(`${path} vanished while it was being read`, { exitCode: 1, code: 'file-vanished', cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new PipeError(`${path} cannot be read: permission denied`, {
      exitCode: 1, code: 'file-unreadable', hint: 'make it readable, or leave it out of the inputs', cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new PipeError(`${path} cannot be read: ${message}`, { exitCode: 1, code: 'file-unreadable', cause: error });
}

export function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
