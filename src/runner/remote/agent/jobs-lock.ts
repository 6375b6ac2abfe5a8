/** One agent at a time decides what becomes of the jobs of a host's folder. */
import { linkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ownerState, sameOwner, thisProcess } from '../../run/owner.ts';
import type { Owner } from '../../run/owner.ts';
import { errorCode } from '../../store/file-bytes.ts';
import { createWhole, jobsFolder, readJson } from './job-folder.ts';

/** Takes a dead process's lock away, and no other that somebody has made meanwhile. */
function breakLock(lock: string, dead: Owner): void {
  const aside = `${lock}-broken-${process.pid}`;
  try {
    renameSync(lock, aside);
    const found = readJson<Owner>(aside);
    if (found !== null && !sameOwner(found, dead)) linkSync(aside, lock);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Does the work while no other agent decides about the jobs of this folder. */
export async function withJobsLock<T>(folder: string, work: () => T): Promise<T> {
  const lock = join(jobsFolder(folder), '.lock');
  for (;;) {
    if (createWhole(lock, JSON.stringify(thisProcess()))) break;
    const holder = readJson<Owner>(lock);
    if (holder !== null && ownerState(holder) === 'dead') breakLock(lock, holder);
    else await new Promise<void>(resolve => setTimeout(resolve, 5));
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}
