/** Writing what comes into files, and what is left when it ends early. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PieceWriter } from '../../../src/runner/shared-cache/piece-writer.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pipe-pieces-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const bytes = Buffer.from('some bytes');
const digest = createHash('sha256').update(bytes).digest('hex');
const names = Array.from({ length: 40 }, (_, i) => `file-${i}`);

function writer(): PieceWriter {
  const files = names.map(path => ({ path, executable: false, size: bytes.length, digest }));
  return new PieceWriter({ stored: 'f'.repeat(64), storedSize: bytes.length * names.length, size: bytes.length * names.length, encoding: 'identity', files }, ({ path }) => join(folder, path));
}

/** Open files below the folder. */
const held = (): string[] => readdirSync('/proc/self/fd').flatMap(name => {
  try {
    const path = readlinkSync(`/proc/self/fd/${name}`);
    return path.startsWith(folder) ? [path] : [];
  } catch {
    return [];
  }
});

/** Whatever was asked of the file system before this is done after it. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 8 }, () => readFile('/proc/self/stat')));
}

test('all files of a piece, each with its bytes', async () => {
  const to = writer();
  await new Promise<void>((resolve, reject) => to.once('error', reject).end(Buffer.concat(names.map(() => bytes)), () => resolve()));
  expect(readdirSync(folder).toSorted()).toEqual(names.toSorted());
});

test('once it says that it is closed, it makes no more files and holds none', async () => {
  for (let turns = 0; turns < 60; turns++) {
    const to = writer();
    to.write(Buffer.concat(names.map(() => bytes)), () => undefined);
    // At another point of its work each time.
    for (let turn = 0; turn < turns; turn++) await new Promise<void>(resolve => setImmediate(resolve));
    const closed = new Promise<void>(resolve => to.once('close', resolve));
    to.destroy();
    await closed;
    const [made, open] = [readdirSync(folder), held()];
    await settled();
    expect(readdirSync(folder)).toEqual(made);
    expect([...open, ...held()]).toEqual([]);
    for (const name of made) rmSync(join(folder, name));
  }
});
