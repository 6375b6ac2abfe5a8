/**
 * Private folders of cells that are done, for the next ones: moving a folder costs a fraction of removing one and making another,
 * most of all where many cells run at once. Only what is as it was made is used again.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { jobFiles, removeWorkFolder } from './work-folder.ts';

/** More are not needed at once; one for each cell that runs, about. */
const most = 64;

export class SpareFolders {
  readonly #folders: string[] = [];

  /** Puts a folder aside, whose stage has ended and whose outputs were taken; false when it has to be removed. */
  give(folder: string): boolean {
    if (this.#folders.length >= most || !isAsMade(folder)) return false;
    this.#folders.push(folder);
    return true;
  }

  /** Makes one of them the folder `to`, in which files of the former may lie: each is written over. False when there is none. */
  take(to: string): boolean {
    for (let spare = this.#folders.pop(); spare !== undefined; spare = this.#folders.pop()) {
      try {
        renameSync(spare, to);
      } catch {
        continue; // another run has cleared it away
      }
      // The same, half way.
      if (!existsSync(jobFiles(to).files)) mkdirSync(jobFiles(to).files);
      return true;
    }
    return false;
  }

  /** At the end of the run. */
  async clear(): Promise<void> {
    for (const folder of this.#folders.splice(0)) await removeWorkFolder(folder);
  }
}

/** Holds nothing but what every folder holds, unchanged in kind; what the stage said in it is removed. */
function isAsMade(folder: string): boolean {
  const { files, events, ...written } = jobFiles(folder);
  const known = new Set(Object.values(written).map(path => basename(path)));
  try {
    const names = readdirSync(folder);
    if (!names.includes(basename(files))) return false;
    for (const name of names) {
      const path = join(folder, name);
      const stat = lstatSync(path);
      if (path === files) {
        if (!stat.isDirectory() || (stat.mode & 0o7777) !== (lstatSync(folder).mode & 0o7777) || readdirSync(files).length > 0) return false;
      } else if (path === events) unlinkSync(path);
      // A link would lead what is written next to somewhere else.
      else if (!known.has(name) || !stat.isFile() || stat.nlink !== 1 || (stat.mode & 0o600) !== 0o600) return false;
    }
    return true;
  } catch {
    return false;
  }
}
