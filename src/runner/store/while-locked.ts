/** Writing to a database that another program keeps locked for longer than SQLite waits. */
import type { Database } from 'better-sqlite3';
import { errorCode } from './file-bytes.ts';

/** So long SQLite waits for a lock, with all of this process. */
export const busyTimeoutMs = 30_000;

const pauseMs = 500;

export const isLocked = (error: unknown): boolean => errorCode(error)?.startsWith('SQLITE_BUSY') === true;

/** For what can be done later as well: throws soon where the database is locked. */
export function unlessLocked(database: Database, work: () => void): void {
  database.pragma('busy_timeout = 200');
  try {
    work();
  } finally {
    database.pragma(`busy_timeout = ${busyTimeoutMs}`);
  }
}

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
