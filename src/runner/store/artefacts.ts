/**
 * Immutable outputs, `cache/artefacts/<digest>/<name>`, read-only. As root permissions hold nobody back, so damage is
 * found by the stats recorded at the commit, and by the digest where these differ.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { PipeError } from '../diagnostic.ts';
import { faultPoint } from '../fault-point.ts';
import { bootId } from './boot.ts';
import { bytePath, errorCode } from './file-bytes.ts';
import { hashAndSync, syncFiles } from './hash-async.ts';
import { changedMeanwhile, entryStat, measure, measureWith, roughEntryStat } from './measure-output.ts';
import type { Entry, Measured } from './measure-output.ts';
import type { Artefact, Digest } from './model.ts';
import { isAlive } from './pid.ts';
import { makeReadOnly, removeTree, syncFolder, syncFolders } from './read-only-tree.ts';
import { settledFiles } from './settled-files.ts';
import type { ArtefactSupply } from './supply.ts';
import { StatRow, StatRowBuilder } from './stat-row.ts';
import { isLocked, whileLocked } from './while-locked.ts';

export type Presence = 'here' | 'gone' | 'damaged';

export interface StoredArtefact extends Artefact {
  readonly createdAt: number;
  readonly state: 'here' | 'dropped' | 'damaged';
}

interface Recorded {
  readonly stat: Buffer | null;
  /** See the migration. */
  readonly unsynced: string | null;
}

/** For what was hashed while it came from elsewhere, whence it can come again. */
export interface KnownDigests {
  readonly digests: ReadonlyMap<string, Uint8Array>;
  readonly only: Digest;
}

/** Of SQLite's patience each: ten minutes. */
const mostTries = 20;

let incoming = 0;
const incomingName = /^\.incoming-(\d+)-/;

export class ArtefactStore {
  /** For `whileLocked`. A run has its own way to tell people. */
  whenLocked: (tries: number) => boolean = tries => tries < mostTries;
  readonly #cache: string;
  /** With a slash at its end: paths are asked for by the ten thousand. */
  readonly #folder: string;
  readonly #database: Database;
  readonly #writable: boolean;
  readonly #select: Statement<[string], Recorded>;

  /** Who else can bring one here; set by whoever knows. */
  supply: ArtefactSupply | null = null;

  constructor(cache: string, database: Database, options: { readonly writable: boolean }) {
    this.#cache = cache;
    this.#folder = `${join(cache, 'artefacts')}/`;
    this.#database = database;
    this.#writable = options.writable;
    this.#select = database.prepare<[string], Recorded>('SELECT stat, unsynced FROM artefact WHERE digest = ?');
  }

  /** Absolute path of the artefact itself. */
  pathOf(artefact: Pick<Artefact, 'digest' | 'name'>): string {
    return `${this.#folder}${artefact.digest}/${artefact.name}`;
  }

  /**
   * Whether it is there and whole: one lstat for each entry against the recorded ones; the content is read only when
   * these differ (and, when it proves the same, the new stats are recorded), and once after a boot when it was not known
   * to be on disk: then files may have their sizes and not their bytes.
   */
  present(artefact: Artefact): Presence {
    const path = this.pathOf(artefact);
    const { stat = null, unsynced = null } = this.#select.get(artefact.digest) ?? {};
    if (stat !== null && (unsynced === null || unsynced === bootId()) && this.#unchanged(path, stat)) return 'here';
    return this.verify(artefact);
  }

  /** Forces to disk what came earlier: by now the kernel has written most of it. */
  async settle(): Promise<void> {
    const left = this.#database.prepare<[string], Pick<Artefact, 'digest' | 'name'>>('SELECT digest, name FROM artefact WHERE unsynced = ?').all(bootId());
    for (const artefact of left) {
      const row = StatRow.unpack(this.#select.get(artefact.digest)?.stat ?? Buffer.alloc(0));
      const root = bytePath(this.pathOf(artefact));
      if (row === null || !(await syncFiles(row.names.map(relative => (relative === '' ? root : `${root}/${relative}`))))) continue;
      this.#database.prepare('UPDATE artefact SET unsynced = NULL WHERE digest = ?').run(artefact.digest);
    }
  }

  #readAgain(artefact: Artefact, path: string): Presence {
    try {
      const measured = measure(path, artefact.name);
      if (measured.artefact.digest !== artefact.digest) return 'damaged';
      // Of what was written since this boot, memory was read, and nothing learned of the disk.
      const { unsynced = null } = this.#select.get(artefact.digest) ?? {};
      this.#renew(measured, unsynced === bootId() ? unsynced : null);
      return 'here';
    } catch (error) {
      // Unreadable, a foreign kind of file, a link that leaves: not what was committed.
      if (error instanceof PipeError) return 'damaged';
      throw error;
    }
  }

  /** The same, where one that a host or a shared cache has counts as there: it can be fetched when somebody needs it. */
  obtainable(artefact: Artefact): Presence {
    const presence = this.present(artefact);
    return presence === 'gone' && (this.elsewhere(artefact.digest).length > 0 || this.supply?.has(artefact.digest) === true) ? 'here' : presence;
  }

  /** The hosts that have it. */
  elsewhere(digest: Digest): string[] {
    return this.#database.prepare<[string], { host: string }>('SELECT host FROM artefact_location WHERE digest = ? ORDER BY host').all(digest).map(({ host }) => host);
  }

  noteElsewhere(digest: Digest, host: string): void {
    this.#database.prepare('INSERT OR IGNORE INTO artefact_location (digest, host) VALUES (?, ?)').run(digest, host);
  }

  forgetElsewhere(digest: Digest, host: string): void {
    this.#database.prepare('DELETE FROM artefact_location WHERE digest = ? AND host = ?').run(digest, host);
  }

  /** What one that is here consists of, itself last; no content is read where the stats are those recorded. */
  entries(artefact: Artefact): readonly Entry[] {
    const path = this.pathOf(artefact);
    const root = bytePath(path);
    const row = StatRow.unpack(this.#select.get(artefact.digest)?.stat ?? Buffer.alloc(0));
    if (row === null) return measure(path, artefact.name).entries;
    const entries: Entry[] = [];
    for (const [place, relative] of row.names.entries()) {
      const stat = entryStat(relative === '' ? root : `${root}/${relative}`);
      if (stat === null || !row.matches(place, stat)) return measure(path, artefact.name).entries;
      entries.push({ relative, stat, digest: row.digest(place) });
    }
    return entries;
  }

  /** The same by content, whatever the stats say. */
  verify(artefact: Artefact): Presence {
    const path = this.pathOf(artefact);
    return entryStat(bytePath(path)) === null ? 'gone' : this.#readAgain(artefact, path);
  }

  /**
   * Takes a finished output in: hash, fsync, rename to its place, read-only. An equal artefact that is already there
   * wins, and two processes that add the same content at once are safe. `workPath` is gone afterwards or may be removed.
   * Throws PipeError for an output that is missing, a symbolic link, or holds what cannot be kept.
   */
  async add(workPath: string, name: string): Promise<Artefact>;
  /**
   * The same with files whose digests (by byte path) are known already; null, and nothing is taken in, unless it comes to
   * `only`. It can come again, so nobody waits for the disk: `present` doubts it after a boot, until `settle`.
   */
  async add(workPath: string, name: string, known: KnownDigests): Promise<Artefact | null>;
  async add(workPath: string, name: string, known?: KnownDigests): Promise<Artefact | null> {
    const source = bytePath(workPath);
    const files = await settledFiles(source, name);
    const unsynced = known === undefined || bootId() === '' ? null : bootId();
    const digests = known === undefined || unsynced === null ? await hashAndSync([...files.keys()]) : known.digests;
    faultPoint('outputs-synced');
    const { artefact } = measureWith(workPath, name, path => digests.get(path) ?? null, files);
    if (known !== undefined && artefact.digest !== known.only) return null;
    const place = join(this.#cache, 'artefacts', artefact.digest);
    if (existsSync(place) && this.present(artefact) === 'here') return artefact;

    const holder = join(this.#cache, 'artefacts', `.incoming-${process.pid}-${Date.now().toString(36)}-${incoming++}`);
    mkdirSync(holder);
    try {
      // A read-only folder could not be moved by an ordinary user: permissions change after the move.
      renameSync(workPath, join(holder, name));
      faultPoint('output-moved');
      const stored = bytePath(join(holder, name));
      makeReadOnly(stored);
      syncFolders(stored);
      const settled = measureWith(join(holder, name), name, path => digests.get(source + path.slice(stored.length)) ?? null, null);
      if (settled.artefact.digest !== artefact.digest) throw changedMeanwhile(workPath);
      chmodSync(holder, 0o555);
      faultPoint('output-settled');
      this.#place(holder, place, artefact);
      faultPoint('output-placed');
      await whileLocked(() => this.#record(settled, unsynced), this.whenLocked);
      faultPoint('artefact-recorded');
    } catch (error) {
      if (existsSync(holder)) removeTree(holder);
      throw error;
    }
    return artefact;
  }

  /** Drops the files; the record that it once was stays. */
  remove(artefact: Artefact): void {
    this.#database.prepare(`UPDATE artefact SET state = 'dropped', stat = NULL WHERE digest = ?`).run(artefact.digest);
    faultPoint('artefact-dropping');
    const place = join(this.#cache, 'artefacts', artefact.digest);
    if (existsSync(place)) removeTree(place);
    faultPoint('artefact-dropped');
  }

  /** Moves a damaged artefact out of the way, to look at; returns where it is now. */
  quarantine(artefact: Artefact, why: string): string {
    const folder = join(this.#cache, 'quarantine');
    mkdirSync(folder, { recursive: true });
    const place = join(this.#cache, 'artefacts', artefact.digest);
    const to = join(folder, `${artefact.digest}-${Date.now().toString(36)}-${incoming++}`);
    this.#database.prepare(`UPDATE artefact SET state = 'damaged', stat = NULL WHERE digest = ?`).run(artefact.digest);
    faultPoint('artefact-damaged');
    if (existsSync(place)) {
      chmodSync(place, 0o755);
      renameSync(place, to);
    } else {
      mkdirSync(to);
    }
    faultPoint('artefact-aside');
    writeFileSync(join(to, '.why'), `${why}\n`);
    return to;
  }

  /** What commits of processes that are gone have left beside the artefacts. */
  dropHalfMade(): void {
    const folder = join(this.#cache, 'artefacts');
    for (const name of readdirSync(folder)) {
      const match = incomingName.exec(name);
      if (match !== null && !isAlive(Number(match[1]))) removeTree(join(folder, name));
    }
  }

  list(): StoredArtefact[] {
    return this.#database
      .prepare<[], StoredArtefact>('SELECT digest, name, type, size, files, created_at AS createdAt, state FROM artefact ORDER BY created_at, digest')
      .all();
  }

  #unchanged(path: string, recorded: Buffer): boolean {
    const root = bytePath(path);
    const top = roughEntryStat(root);
    if (top === null) return false;
    const only = StatRow.matchesOnly(recorded, top);
    if (only !== null) return only;
    const row = StatRow.unpack(recorded);
    if (row === null) return false;
    return row.names.every((relative, place) => {
      const stat = roughEntryStat(relative === '' ? root : `${root}/${relative}`);
      return stat !== null && row.matchesRough(place, stat);
    });
  }

  #record({ artefact, entries }: Measured, unsynced: string | null): void {
    const builder = new StatRowBuilder(entries.length);
    const now = BigInt(Date.now()) * 1_000_000n;
    for (const { relative, stat, digest } of entries) builder.add(relative, stat, now, digest);
    this.#database
      .prepare(
        `INSERT INTO artefact (digest, name, type, size, files, created_at, state, stat, unsynced) VALUES (?, ?, ?, ?, ?, ?, 'here', ?, ?)
         ON CONFLICT (digest) DO UPDATE SET state = 'here', stat = excluded.stat, unsynced = excluded.unsynced`,
      )
      .run(artefact.digest, artefact.name, artefact.type, artefact.size, artefact.files, Date.now(), builder.finish().pack(), unsynced);
  }

  /** New stats of an artefact that was touched. A reader whose snapshot is old cannot write them: then it is read again. */
  #renew(measured: Measured, unsynced: string | null): void {
    if (!this.#writable) return;
    try {
      this.#record(measured, unsynced);
    } catch (error) {
      if (!isLocked(error)) throw error;
    }
  }

  /** Renames the holder to its place; what is there already wins if it is whole. */
  #place(holder: string, place: string, artefact: Artefact): void {
    for (;;) {
      try {
        renameSync(holder, place);
        syncFolder(join(this.#cache, 'artefacts'));
        return;
      } catch (error) {
        const code = errorCode(error);
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
        if (this.present(artefact) === 'here') {
          removeTree(holder);
          return;
        }
        this.quarantine(artefact, 'its content did not match its digest when the same output was made again');
      }
    }
  }
}
