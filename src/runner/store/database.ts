import { accessSync, closeSync, constants, copyFileSync, existsSync, mkdtempSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type BetterSqlite from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import { errorCode } from './file-bytes.ts';
import { migrations } from './migrations.ts';
import { busyTimeoutMs } from './while-locked.ts';

export interface OpenedDatabase {
  readonly database: Database;
  /** What the user should know: a damaged file that was moved aside. */
  readonly notices: readonly string[];
}

/**
 * Opens the results database in WAL mode and brings it to the newest schema. A damaged file is moved aside with a
 * notice, and a new one begun: artefacts keep themselves, but which key made which is then lost, so stages run again.
 * A database of a newer program throws PipeError (exit 3). Reading mode makes an empty one where there is none,
 * and reads a copy of one beside which nothing can be written.
 */
export function openDatabase(path: string, mode: 'write' | 'read'): OpenedDatabase {
  try {
    return { database: openOnce(path, mode), notices: [] };
  } catch (error) {
    if (mode === 'read' && isUnwritable(error)) return { database: openCopy(path), notices: [] };
    if (!isDamage(error)) throw explained(path, error);
    if (mode === 'read') {
      throw new PipeError(`the results database ${path} is damaged`, {
        exitCode: 3, code: 'database-damaged', hint: '`pipe run` moves it aside and begins a new one', cause: error,
      });
    }
    const notice = setAside(path);
    return { database: openOnce(path, mode), notices: [notice] };
  }
}

function openOnce(path: string, mode: 'write' | 'read'): Database {
  // Loaded here: the native module costs tens of milliseconds that most commands need not spend.
  const require = createRequire(import.meta.url);
  const Sqlite = require('better-sqlite3') as typeof BetterSqlite;
  checkHeader(path);
  if (mode === 'read' && !existsSync(path)) {
    const empty = new Sqlite(':memory:');
    migrate(empty, path);
    return empty;
  }
  // SQLite itself would open it for reading only, and say so at the first change.
  if (mode === 'write' && existsSync(path)) accessSync(path, constants.W_OK);
  // Where npm builds it; else the package looks for it itself, which takes longer.
  const built = join(dirname(require.resolve('better-sqlite3')), '..', 'build', 'Release', 'better_sqlite3.node');
  const database = new Sqlite(path, { timeout: busyTimeoutMs, ...(existsSync(built) ? { nativeBinding: built } : {}) });
  try {
    // Before anything is written: a newer program's database stays as it is.
    refuseNewer(database, path, migrations.length);
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    database.pragma('mmap_size = 268435456');
    migrate(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Also to read, SQLite has to write beside the file. Where that cannot be, as in a cache on a read-only share, a copy is read. */
function openCopy(path: string): Database {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-read-'));
  try {
    for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, join(folder, `pipe.db${suffix}`));
    return openOnce(join(folder, 'pipe.db'), 'read');
  } catch (error) {
    throw explained(path, error);
  } finally {
    // The open file stays readable until it is closed.
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The schema version is SQLite's own `user_version`; each step and its number are one transaction. */
export function migrate(database: Database, path: string, steps: readonly string[] = migrations): void {
  const versionOf = (): number => Number(database.pragma('user_version', { simple: true }));
  refuseNewer(database, path, steps.length);
  if (versionOf() === steps.length) return;
  database.transaction(() => {
    // Somebody else may have migrated it while we waited for the lock.
    for (let step = versionOf(); step < steps.length; step++) {
      database.exec(steps[step]!);
      database.pragma(`user_version = ${step + 1}`);
    }
  }).immediate();
}

function refuseNewer(database: Database, path: string, known: number): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version <= known) return;
  throw new PipeError(`${path} was written by a newer version of this program (schema ${version}, this one knows ${known})`, {
    exitCode: 3, code: 'database-newer', hint: 'update the program, or give it another cache with --cache',
  });
}

/** A file cut to less than its header, or that never was a database, is found before SQLite writes into it. */
function checkHeader(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const header = Buffer.alloc(16);
  const count = readSync(descriptor, header, 0, 16, 0);
  closeSync(descriptor);
  if (count > 0 && header.toString('latin1', 0, count) !== 'SQLite format 3\0') throw new NotADatabase(path);
}

class NotADatabase extends Error {
  readonly code = 'SQLITE_NOTADB';
}

export function isDamage(error: unknown): boolean {
  const code = errorCode(error);
  return code !== null && (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT'));
}

function isUnwritable(error: unknown): boolean {
  const code = errorCode(error);
  return code !== null && (code === 'SQLITE_CANTOPEN' || code === 'EACCES' || code === 'EROFS' || code.startsWith('SQLITE_READONLY'));
}

function explained(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === null || error instanceof PipeError) return error;
  if (isUnwritable(error)) {
    return new PipeError(`the results database ${path} cannot be opened for writing`, {
      exitCode: 3, code: 'database-unwritable', hint: 'check the permissions of the cache folder, or give another with --cache', cause: error,
    });
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new PipeError(`the results database ${path} has been locked by another program for ${busyTimeoutMs / 1000} seconds`, {
      exitCode: 3, code: 'database-locked', cause: error,
    });
  }
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') {
    return new PipeError(`no space left for the results database ${path}`, { exitCode: 3, code: 'disk-full', cause: error });
  }
  return error;
}

/** Moves a damaged database, which nobody has open, out of the way; gives what to say of it. */
export function setAside(path: string): string {
  const aside = moveAside(path);
  return `the results database was damaged and is now ${aside}; a new one was begun. Artefacts are still there, but what they were made from is not known any more: stages run again.`;
}

function moveAside(path: string): string {
  const aside = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  for (const suffix of ['', '-wal', '-shm']) {
    try {
      renameSync(path + suffix, aside + suffix);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') rmSync(path + suffix, { force: true });
    }
  }
  return aside;
}
