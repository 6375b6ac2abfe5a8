/** A finished output before it is taken in: what it may be, and its files. */
import type { BigIntStats } from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { PipeError } from '../diagnostic.ts';
import { fsPath } from './file-bytes.ts';
import { entryStat } from './measure-output.ts';
import { hashTree, statEntry } from './merkle.ts';

/** The files of an output with their stats, before they are hashed. A hard link to something else is replaced by a copy. */
export async function settledFiles(source: string, name: string): Promise<Map<string, BigIntStats>> {
  const root = entryStat(source);
  if (root === null) {
    throw new PipeError(`the output ${name} was not written`, { exitCode: 1, code: 'missing-output' });
  }
  if (root.isSymbolicLink()) {
    throw new PipeError(`the output ${name} is a symbolic link`, {
      exitCode: 1, code: 'output-is-link', hint: 'write or copy the content: an output has to stand on its own',
    });
  }
  const files = new Map<string, BigIntStats>();
  if (root.isDirectory()) {
    const nothing = Buffer.alloc(32);
    hashTree(source, { open: () => () => nothing, entry: (path, type, stat) => void (type === 'f' || type === 'x' ? files.set(path, stat) : null) });
  } else if (root.isFile()) {
    files.set(source, root);
  } else {
    throw new PipeError(`the output ${name} is neither a file nor a folder`, { exitCode: 1, code: 'special-file' });
  }
  for (const [path, stat] of files) {
    if (stat.nlink === 1n) continue;
    const copy = fsPath(`${path}.pipe-copy`);
    await copyFile(fsPath(path), copy);
    await rename(copy, fsPath(path));
    files.set(path, statEntry(path));
  }
  return files;
}
