/**
 * Digests of project files without reading them again: what was hashed stays known by (size, mtime, ctime, inode).
 * Only the rows of the folders in question are loaded. Everything is synchronous.
 */
import { lstatSync, realpathSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import { bytePath, errorCode, fileTrouble, fsPath, hashFile, isExecutable, shownPath } from './file-bytes.ts';
import { hashTree } from './merkle.ts';
import type { EntryType, TreeFacts } from './merkle.ts';
import { StatRow, StatRowBuilder, racyWindow } from './stat-row.ts';

export interface FileFacts {
  readonly type: 'f' | 'x';
  /** SHA-256 of the bytes, 32 raw bytes. */
  readonly digest: Buffer;
  readonly size: number;
}

interface Folder {
  row: StatRow | null;
  /** Where the next file in order of name should be. */
  next: number;
  /** Files hashed one by one since the row was read. */
  readonly added: Map<string, { readonly stat: BigIntStats; readonly checkedAt: bigint; readonly digest: Buffer }>;
}

export class StatCache {
  readonly #database: Database;
  readonly #writable: boolean;
  readonly #select: Statement<[Buffer], { rows: Buffer }>;
  readonly #folders = new Map<string, Folder>();
  readonly #changed = new Map<string, StatRow>();
  readonly #clock: () => number;
  /** Files whose content was read, for tests and `--json` timings. */
  hashed = 0;

  constructor(database: Database, options: { readonly writable: boolean; readonly clock?: () => number }) {
    this.#database = database;
    this.#writable = options.writable;
    this.#clock = options.clock ?? Date.now;
    this.#select = database.prepare<[Buffer], { rows: Buffer }>('SELECT rows FROM file_stat WHERE folder = ?');
  }

  /** A file by its absolute path, links followed. Null when there is none, or it is not a file. Throws PipeError when unreadable. */
  file(path: string): FileFacts | null {
    let bytes = bytePath(path);
    let stat = this.#stat(bytes);
    if (stat?.isSymbolicLink() === true) {
      bytes = this.#followed(bytes);
      stat = this.#stat(bytes);
    }
    if (stat === null || !stat.isFile()) return null;
    const slash = bytes.lastIndexOf('/');
    const digest = this.#fileDigest(bytes.slice(0, slash), bytes.slice(slash + 1), stat);
    return { type: isExecutable(stat) ? 'x' : 'f', digest, size: Number(stat.size) };
  }

  /**
   * The Merkle tree of a folder (a link to a folder is followed, links inside are hashed as links). `onNode` gets each
   * folder's node. Throws PipeError when something in it cannot be read or leads out of it.
   */
  folder(path: string, onNode?: (digest: Buffer, node: Buffer) => void): TreeFacts {
    let root = bytePath(path);
    if (this.#stat(root)?.isSymbolicLink() === true) root = this.#followed(root);
    const finished: (() => void)[] = [];
    const facts = hashTree(root, {
      open: (folder, names) => {
        const known = this.#wholeRow(folder);
        let builder: StatRowBuilder | null = null;
        let place = 0;
        let seen = 0;
        finished.push(() => {
          if (builder !== null) this.#replace(folder, builder.finish());
          else if (known !== null && seen < known.names.length) this.#replace(folder, this.#shortened(folder, known, names));
        });
        return (name, stat) => {
          const found = known === null ? -1 : known.place(name, place);
          if (known !== null && found >= 0 && known.trusts(found, stat)) {
            place = found + 1;
            seen++;
            if (builder !== null) known.copyTo(found, builder);
            return known.digest(found);
          }
          if (builder === null) {
            builder = new StatRowBuilder(names.length);
            if (known !== null) this.#copyUpTo(builder, known, names, name);
          }
          const checkedAt = this.#now();
          const digest = this.#hash(`${folder}/${name}`);
          builder.add(name, stat, checkedAt, digest);
          return digest;
        };
      },
      ...(onNode === undefined ? {} : { node: onNode }),
    });
    for (const finish of finished) finish();
    return facts;
  }

  /** `f`, `x`, `d`, or null when there is nothing; links followed. */
  typeOf(path: string): Exclude<EntryType, 'l'> | null {
    let bytes = bytePath(path);
    let stat = this.#stat(bytes);
    if (stat?.isSymbolicLink() === true) {
      bytes = this.#followed(bytes);
      stat = this.#stat(bytes);
    }
    if (stat === null) return null;
    return stat.isDirectory() ? 'd' : isExecutable(stat) ? 'x' : 'f';
  }

  /** Writes what was learned, in one transaction. Nothing was learned in a no-op: nothing is written then. */
  flush(): void {
    for (const [path, folder] of this.#folders) if (folder.added.size > 0) this.#wholeRow(path);
    if (!this.#writable || this.#changed.size === 0) return;
    const insert = this.#database.prepare<[Buffer, Buffer]>('INSERT OR REPLACE INTO file_stat (folder, rows) VALUES (?, ?)');
    this.#database.transaction(() => {
      for (const [folder, row] of this.#changed) insert.run(Buffer.from(folder, 'latin1'), row.pack());
    })();
    this.#changed.clear();
  }

  #fileDigest(path: string, name: string, stat: BigIntStats): Buffer {
    const folder = this.#folder(path);
    const added = folder.added.get(name);
    if (added !== undefined && same(added.stat, stat) && newest(stat) < added.checkedAt - racyWindow) return added.digest;
    const place = folder.row?.place(name, folder.next) ?? -1;
    folder.next = place + 1;
    if (folder.row !== null && place >= 0 && folder.row.trusts(place, stat)) return folder.row.digest(place);
    const checkedAt = this.#now();
    const digest = this.#hash(`${path}/${name}`);
    folder.added.set(name, { stat, checkedAt, digest });
    return digest;
  }

  #folder(path: string): Folder {
    let folder = this.#folders.get(path);
    if (folder === undefined) {
      const found = this.#select.get(Buffer.from(path, 'latin1'));
      folder = { row: found === undefined ? null : StatRow.unpack(found.rows), next: 0, added: new Map() };
      this.#folders.set(path, folder);
    }
    return folder;
  }

  /** The row of a folder with what was learned file by file in it. */
  #wholeRow(path: string): StatRow | null {
    const folder = this.#folder(path);
    if (folder.added.size > 0) {
      folder.row = merged(folder);
      folder.added.clear();
      this.#changed.set(path, folder.row);
    }
    return folder.row;
  }

  #replace(path: string, row: StatRow): void {
    this.#folders.set(path, { row, next: 0, added: new Map() });
    this.#changed.set(path, row);
  }

  /** The rows of files before `until` in the scan, which were all trusted, into a builder that starts late. */
  #copyUpTo(builder: StatRowBuilder, known: StatRow, names: readonly string[], until: string): void {
    let place = 0;
    for (const name of names) {
      if (name === until) return;
      const found = known.place(name, place);
      if (found < 0) continue;
      known.copyTo(found, builder);
      place = found + 1;
    }
  }

  #shortened(folder: string, known: StatRow, names: readonly string[]): StatRow {
    const builder = new StatRowBuilder(names.length);
    let place = 0;
    for (const name of names) {
      const found = known.place(name, place);
      if (found < 0) continue;
      known.copyTo(found, builder);
      place = found + 1;
    }
    return builder.finish();
  }

  #hash(path: string): Buffer {
    this.hashed++;
    return hashFile(path);
  }

  #now(): bigint {
    return BigInt(this.#clock()) * 1_000_000n;
  }

  #stat(bytes: string): BigIntStats | null {
    try {
      return lstatSync(fsPath(bytes), { bigint: true, throwIfNoEntry: false }) ?? null;
    } catch (error) {
      if (errorCode(error) === 'ENOTDIR') return null;
      throw fileTrouble(bytes, error);
    }
  }

  #followed(bytes: string): string {
    try {
      return realpathSync.native(fsPath(bytes), 'latin1');
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') {
        throw new PipeError(`the symbolic link ${shownPath(bytes)} leads nowhere`, {
          exitCode: 1, code: 'dangling-link', hint: 'make what it points at, or leave it out of the inputs', cause: error,
        });
      }
      throw fileTrouble(bytes, error);
    }
  }
}

function merged(folder: Folder): StatRow {
  const names = new Set(folder.row?.names);
  for (const name of folder.added.keys()) names.add(name);
  const builder = new StatRowBuilder(names.size);
  for (const name of [...names].sort()) {
    const added = folder.added.get(name);
    if (added !== undefined) builder.add(name, added.stat, added.checkedAt, added.digest);
    else folder.row!.copyTo(folder.row!.place(name, -1), builder);
  }
  return builder.finish();
}

function same(a: BigIntStats, b: BigIntStats): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.ino === b.ino;
}

function newest(stat: BigIntStats): bigint {
  return stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
}
