/** Writing to a database that another program keeps locked for longer than SQLite waits. */
import { errorCode } from './file-bytes.ts';

const pauseMs = 500;

export const isLocked = (error: unknown): boolean => errorCode(error)?.startsWith('SQLITE_BUSY') === true;

/**
 * What `work` gives, once the lock is free; other errors are thrown. `waiting` is told after the first try in vain; where it gives
 * false, the lock's error is thrown instead. Between two tries other work of this process goes on.
 */
export async function whileLocked<T>(work: () => T, waiting: (tries: number) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return work();
    } catch (error) {
      if (!isLocked(error) || !waiting(tries)) throw error;
      await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
  }
}
