/** Are the files of a folder, by their stats, those of its row? Done by the main thread and by helpers beside it. */
import { lstatSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { fsPath, isAscii } from './file-bytes.ts';
import { trustsFolder } from './folder-proof.ts';
import type { FolderTimes } from './folder-proof.ts';
import { nanoseconds } from './rough-times.ts';
import type { StatRow } from './stat-row.ts';

const how = { throwIfNoEntry: false } as const;

/** Files `from` to `to` (exclusive). False as soon as one is not surely the one that was hashed, or cannot be looked at. */
export function filesUntouched(folder: string, row: StatRow, from: number, to: number): boolean {
  const plain = row.plain && isAscii(folder);
  const prefix = `${folder}/`;
  try {
    for (let place = from; place < to; place++) {
      const path = prefix + row.names[place]!;
      const stat = lstatSync(plain ? path : fsPath(path), how);
      if (stat === undefined || !row.trustsRough(place, stat)) return false;
    }
    return true;
  } catch {
    return false; // the closer look that follows says what is wrong
  }
}

/** `known`: its stats, where somebody has just asked for them. */
export function folderUntouched(folder: string, times: FolderTimes, known: Stats | null): boolean {
  try {
    const stat = known ?? lstatSync(fsPath(folder), how);
    return stat !== undefined && stat.isDirectory() && trustsFolder(times, nanoseconds(stat.mtimeMs), nanoseconds(stat.ctimeMs), stat.ino);
  } catch {
    return false;
  }
}
