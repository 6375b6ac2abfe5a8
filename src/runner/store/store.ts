import { mkdirSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import { ownPackageRoot } from '../package-root.ts';
import { ArtefactStore } from './artefacts.ts';
import { openDatabase } from './database.ts';
import { errorCode } from './file-bytes.ts';
import { Results } from './results.ts';
import { StatCache } from './stat-cache.ts';
import { isLocked, unlessLocked } from './while-locked.ts';

export interface Store {
  /** Absolute path of the cache folder. */
  readonly cache: string;
  readonly artefacts: ArtefactStore;
  readonly results: Results;
  readonly stats: StatCache;
  /** For reading with SQL, and for leases. */
  readonly database: Database;
  /** Whether the database's file is still the one that was opened. */
  readonly isInPlace: () => boolean;
  /** What the user should know about opening it, such as a damaged database that was moved aside. */
  readonly notices: readonly string[];
  close(): void;
}

export const databaseOf = (cache: string): string => join(cache, 'pipe.db');

function identity(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

const sameFile = (one: Stats, other: Stats | null): boolean => other !== null && one.ino === other.ino && one.dev === other.dev;

/** What lies in the cache folder. */
export const cacheFolders = ['artefacts', 'work', 'out', 'logs', 'checkpoints', 'code', 'plans'] as const;

/**
 * Opens the cache: its folders and `pipe.db`. In `read` mode nothing is created or written but what SQLite needs to read
 * beside a running writer. Throws PipeError (exit 3) when the cache cannot be used.
 */
export function openStore(options: { readonly cache: string; readonly mode: 'write' | 'read' }): Store {
  const { cache, mode } = options;
  if (mode === 'write') makeFolders(cache);
  const { database, notices } = openDatabase(databaseOf(cache), mode);
  const opened = identity(databaseOf(cache));
  const stats = new StatCache(database, { writable: mode === 'write', helpers: { program: join(ownPackageRoot(), 'dist', 'stat-helper.js'), filesEach: 25_000 } });
  const store: Store = {
    cache,
    artefacts: new ArtefactStore(cache, database, { writable: mode === 'write' }),
    results: new Results(database),
    stats,
    database,
    notices,
    isInPlace: () => opened === null || sameFile(opened, identity(databaseOf(cache))),
    close() {
      store.artefacts.supply?.close();
      try {
        unlessLocked(database, () => stats.flush());
      } catch (error) {
        // What was learned of files can be learned again.
        if (!isLocked(error)) throw error;
      } finally {
        database.close();
      }
    },
  };
  return store;
}

function makeFolders(cache: string): void {
  try {
    for (const folder of cacheFolders) mkdirSync(join(cache, folder), { recursive: true });
  } catch (error) {
    const code = errorCode(error);
    const why = code === 'ENOSPC' ? 'no space left' : code === 'EROFS' ? 'the file system is read-only' : code === 'EACCES' || code === 'EPERM' ? 'permission denied' : null;
    if (why === null) throw error;
    throw new PipeError(`the cache folder ${cache} cannot be written: ${why}`, {
      exitCode: 3, code: 'cache-unwritable', hint: 'give another folder with --cache or PIPE_CACHE', cause: error,
    });
  }
}
