/** Hashing and syncing what a stage wrote without stopping the event loop: heartbeats and the view go on meanwhile. */
import { createHash, hash } from 'node:crypto';
import { closeSync, constants, fdatasync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { errorCode, fileTrouble, fsPath } from './file-bytes.ts';

const chunkSize = 1 << 20;
const inFlight = 4;

/** A file below this is read at once: turns of the event loop would take longer. */
const smallBytes = 128 * 1024;
const small = Buffer.allocUnsafe(smallBytes);

/** For each path (byte paths): SHA-256 of its bytes, with the content forced to disk. */
export async function hashAndSync(paths: readonly string[]): Promise<Map<string, Buffer>> {
  const digests = new Map<string, Buffer>();
  let next = 0;
  const worker = async (): Promise<void> => {
    let buffers: readonly Buffer[] | null = null;
    while (next < paths.length) {
      const path = paths[next++]!;
      try {
        // Two buffers: one is filled while the other is hashed.
        digests.set(path, (await hashSmall(path)) ?? (await hashLarge(path, (buffers ??= [Buffer.allocUnsafe(chunkSize), Buffer.allocUnsafe(chunkSize)]))));
      } catch (error) {
        throw fileTrouble(path, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, paths.length) }, worker));
  return digests;
}

/** Forces files and folders (byte paths) to disk. False when one cannot be: it is gone, most likely. */
export async function syncFiles(paths: readonly string[]): Promise<boolean> {
  let next = 0;
  let all = true;
  const worker = async (): Promise<void> => {
    while (next < paths.length && all) all = (await syncOne(paths[next++]!)) && all;
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, paths.length) }, worker));
  return all;
}

async function syncOne(path: string): Promise<boolean> {
  try {
    const file = await open(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    await file.sync().finally(() => file.close());
    return true;
  } catch (error) {
    // A link lies in its folder.
    return errorCode(error) === 'ELOOP';
  }
}

/** Null for one that is not small. */
async function hashSmall(path: string): Promise<Buffer | null> {
  const file = openSync(fsPath(path), 'r');
  try {
    let length = 0;
    for (let count = 1; count > 0 && length < smallBytes; length += count) count = readSync(file, small, length, smallBytes - length, null);
    if (length === smallBytes) return null;
    const digest = hash('sha256', small.subarray(0, length), 'buffer');
    await new Promise<void>((resolve, reject) => fdatasync(file, error => (error === null ? resolve() : reject(error))));
    return digest;
  } finally {
    closeSync(file);
  }
}

async function hashLarge(path: string, buffers: readonly Buffer[]): Promise<Buffer> {
  const file = await open(fsPath(path), 'r');
  try {
    // The kernel writes while we read; linked to nothing until awaited, so a failure must not go unhandled.
    const synced = file.datasync().then(() => null, (error: unknown) => error);
    const state = createHash('sha256');
    let turn = 0;
    let reading = file.read(buffers[turn]!, 0, chunkSize, null);
    for (;;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) break;
      const filled = buffers[turn]!.subarray(0, bytesRead);
      turn = 1 - turn;
      reading = file.read(buffers[turn]!, 0, chunkSize, null);
      state.update(filled);
    }
    const trouble = await synced;
    if (trouble !== null) throw trouble;
    return state.digest();
  } finally {
    await file.close();
  }
}
