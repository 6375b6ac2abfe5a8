/**
 * Digests of project files without reading them again: what was hashed stays known by (size, mtime, ctime, inode).
 * Only the rows of the folders in question are loaded. For whoever asks, everything is synchronous.
 */
import { lstatSync, realpathSync } from 'node:fs';
import type { BigIntStats, Stats } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import { bytePath, errorCode, fileTrouble, fsPath, hashFile, isExecutable, shownPath } from './file-bytes.ts';
import { FolderScan } from './folder-scan.ts';
import { hashTree, statEntry } from './merkle.ts';
import type { EntryType, TreeFacts } from './merkle.ts';
import { StatRowBuilder } from './stat-row.ts';
import type { StatRow } from './stat-row.ts';
import type { Helpers } from './stat-tasks.ts';
import { StatTable } from './stat-table.ts';
import type { TreeNodes } from './tree-nodes.ts';
import { untouchedFolders } from './untouched-folders.ts';

export interface FileFacts {
  readonly type: 'f' | 'x';
  /** SHA-256 of the bytes, 32 raw bytes. */
  readonly digest: Buffer;
  readonly size: number;
}

interface AddedFile {
  readonly stat: BigIntStats;
  readonly checkedAt: bigint;
  readonly digest: Buffer;
}

/** Files hashed one by one since the folder's row was read. */
interface Added {
  readonly files: Map<string, AddedFile>;
  /** Where the next file in order of name should be. */
  next: number;
}

export interface StatCacheOptions {
  readonly writable: boolean;
  /** Threads for large trees; without them, this one does all. */
  readonly helpers?: Helpers;
  readonly clock?: () => number;
}

export class StatCache {
  readonly #table: StatTable;
  readonly #added = new Map<string, Added>();
  readonly #clock: () => number;
  readonly #helpers: Helpers | null;
  /** Files whose content was read, for tests and `--json` timings. */
  hashed = 0;

  constructor(database: Database, options: StatCacheOptions) {
    this.#table = new StatTable(database, options.writable);
    this.#clock = options.clock ?? Date.now;
    this.#helpers = options.helpers ?? null;
  }

  /** A file by its absolute path, links followed. Null when there is none, or it is not a file. Throws PipeError when unreadable. */
  file(path: string): FileFacts | null {
    const { bytes, stat } = this.#target(path);
    return stat?.isFile() === true ? this.#fileFacts(bytes, stat) : null;
  }

  /** A file or a folder, whichever it is, links followed. Null when there is neither. Throws as `file` and `folder` do. */
  content(path: string, nodes: TreeNodes): { readonly file: FileFacts } | { readonly tree: TreeFacts } | null {
    const { bytes, stat } = this.#target(path);
    if (stat === null) return null;
    if (stat.isDirectory()) return { tree: this.#tree(bytes, stat, nodes) };
    if (stat.isFile()) return { file: this.#fileFacts(bytes, stat) };
    throw new PipeError(`${path} is neither a file nor a folder`, { exitCode: 1, code: 'special-file' });
  }

  #fileFacts(bytes: string, stat: Stats): FileFacts {
    const slash = bytes.lastIndexOf('/');
    const digest = this.#fileDigest(bytes.slice(0, slash), bytes.slice(slash + 1), stat);
    return { type: isExecutable(stat) ? 'x' : 'f', digest, size: stat.size };
  }

  /**
   * The Merkle tree of a folder (a link to a folder is followed, links inside are hashed as links). `nodes` gets each
   * folder's node. Throws PipeError when something in it cannot be read or leads out of it.
   */
  folder(path: string, nodes?: TreeNodes): TreeFacts {
    const { bytes, stat } = this.#target(path);
    return this.#tree(bytes, stat, nodes);
  }

  #tree(root: string, stat: Stats | null, nodes?: TreeNodes): TreeFacts {
    const began = this.#now();
    this.#mergeAdded(root);
    const untouched = untouchedFolders(root, stat, this.#table, this.#helpers);
    const whole = untouched.facts.get(root);
    if (whole !== undefined) {
      nodes?.setTree(whole.digest.toString('hex'), () => untouched.nodes(root));
      return whole;
    }
    const scans = new Map<string, FolderScan>();
    const facts = hashTree(root, {
      known: folder => {
        const known = untouched.facts.get(folder);
        if (known !== undefined) nodes?.setTree(known.digest.toString('hex'), () => untouched.nodes(folder));
        return known;
      },
      open: (folder, names) => {
        const scan = new FolderScan(this.#table.get(folder), names, (file, size) => this.#hash(`${folder}/${file}`, size), () => this.#now());
        scans.set(folder, scan);
        return (name, stat) => scan.digestOf(name, stat);
      },
      node: (digest, node, folder, stat) => {
        scans.get(folder)!.finish(node, digest, stat, began);
        nodes?.set(digest.toString('hex'), node);
      },
    });
    for (const [folder, scan] of scans) {
      const learned = scan.learned();
      if (learned !== null) this.#table.set(folder, learned.row, learned.proof);
    }
    return facts;
  }

  /** `f`, `x`, `d`, or null when there is nothing; links followed. */
  typeOf(path: string): Exclude<EntryType, 'l'> | null {
    const { stat } = this.#target(path);
    if (stat === null) return null;
    return stat.isDirectory() ? 'd' : isExecutable(stat) ? 'x' : 'f';
  }

  /** What a path leads to, over links. */
  #target(path: string): { readonly bytes: string; readonly stat: Stats | null } {
    const bytes = bytePath(path);
    const stat = this.#stat(bytes);
    if (stat?.isSymbolicLink() !== true) return { bytes, stat };
    const followed = this.#followed(bytes);
    return { bytes: followed, stat: this.#stat(followed) };
  }

  /** Writes what was learned, in one transaction. Nothing was learned in a no-op: nothing is written then. */
  flush(): void {
    for (const folder of [...this.#added.keys()]) this.#merge(folder);
    this.#table.flush();
  }

  #fileDigest(path: string, name: string, stat: Stats): Buffer {
    const { row } = this.#table.get(path);
    const added = this.#addedTo(path);
    const known = added.files.get(name);
    if (known !== undefined && trusts(known, stat)) return known.digest;
    const place = row?.place(name, added.next) ?? -1;
    added.next = place + 1;
    if (row !== null && place >= 0 && row.trustsRough(place, stat)) return row.digest(place);
    const file = `${path}/${name}`;
    const exact = statEntry(file);
    const checkedAt = this.#now();
    const digest = this.#hash(file, exact.size);
    added.files.set(name, { stat: exact, checkedAt, digest });
    return digest;
  }

  #addedTo(path: string): Added {
    let added = this.#added.get(path);
    if (added === undefined) this.#added.set(path, (added = { files: new Map(), next: 0 }));
    return added;
  }

  /** Puts what was learned file by file, in a folder and below it, into the rows. */
  #mergeAdded(root: string): void {
    for (const folder of [...this.#added.keys()]) if (folder === root || folder.startsWith(`${root}/`)) this.#merge(folder);
  }

  /** The row of a folder with what was learned file by file in it. */
  #merge(folder: string): void {
    const added = this.#added.get(folder);
    this.#added.delete(folder);
    if (added !== undefined && added.files.size > 0) this.#table.set(folder, merged(this.#table.get(folder).row, added), null);
  }

  #hash(path: string, size: bigint): Buffer {
    this.hashed++;
    return hashFile(path, size);
  }

  #now(): bigint {
    return BigInt(this.#clock()) * 1_000_000n;
  }

  #stat(bytes: string): Stats | null {
    try {
      return lstatSync(fsPath(bytes), { throwIfNoEntry: false }) ?? null;
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

function merged(row: StatRow | null, { files }: Added): StatRow {
  const names = new Set(row?.names);
  for (const name of files.keys()) names.add(name);
  const builder = new StatRowBuilder(names.size);
  for (const name of [...names].sort()) {
    const added = files.get(name);
    if (added !== undefined) builder.add(name, added.stat, added.checkedAt, added.digest);
    else row!.copyTo(row!.place(name, -1), builder);
  }
  return builder.finish();
}

/** As a row trusts its files. */
function trusts({ stat, checkedAt, digest }: AddedFile, now: Stats): boolean {
  const builder = new StatRowBuilder(1);
  builder.add('', stat, checkedAt, digest);
  return builder.finish().trustsRough(0, now);
}
