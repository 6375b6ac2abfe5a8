/** Trees of which nothing may be written: made so, forced to disk, removed. */
import { chmodSync, closeSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs';
import { bytePath, fsPath } from './file-bytes.ts';
import { entryStat } from './measure-output.ts';
import { statEntry } from './merkle.ts';

/** Files and folders, what is inside first; links have no permissions of their own. */
export function makeReadOnly(path: string): void {
  const stat = statEntry(path);
  if (stat.isSymbolicLink()) return;
  if (stat.isDirectory()) for (const name of readdirSync(fsPath(path), 'latin1')) makeReadOnly(`${path}/${name}`);
  chmodSync(fsPath(path), Number(stat.mode) & 0o555);
}

export function syncFolders(path: string): void {
  const stat = statEntry(path);
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(fsPath(path), 'latin1')) syncFolders(`${path}/${name}`);
  syncFolder(fsPath(path));
}

export function syncFolder(path: string | Buffer): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Removes a read-only tree: each folder is made writable first. Another process may be removing the same one. */
export function removeTree(path: string): void {
  const unlock = (folder: string): void => {
    let names: string[];
    try {
      chmodSync(fsPath(folder), 0o755);
      names = readdirSync(fsPath(folder), 'latin1');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    for (const name of names) {
      const entry = `${folder}/${name}`;
      if (entryStat(entry)?.isDirectory() === true) unlock(entry);
    }
  };
  const bytes = bytePath(path);
  if (entryStat(bytes)?.isDirectory() === true) unlock(bytes);
  rmSync(fsPath(bytes), { recursive: true, force: true });
}
