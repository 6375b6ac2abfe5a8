/**
 * Leases on action keys, so that two runs on one cache share work and nobody ever needs to unlock anything. A lease
 * belongs to a process, shows by its heartbeat that this still works, and is taken over when the process is gone.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { Key } from '../store/model.ts';
import { isLocked, unlessLocked } from '../store/while-locked.ts';
import { describeOwner, ownerState, sameOwner, thisProcess } from './owner.ts';
import type { Owner } from './owner.ts';
import { endTree } from './process-tree.ts';

export interface LeaseHolder extends Owner {
  readonly key: Key;
  readonly run: number;
  readonly attempt: number | null;
  readonly cell: string;
  /** Changes with every heartbeat, whatever the clocks do. */
  readonly heartbeat: number;
  readonly trees: readonly LeasedTree[];
}

/** The stage's process tree, so that whoever takes over can end it. */
export interface LeasedTree {
  readonly folder: string;
  /** Processes that were seen in it, with their start times: a pid alone may be somebody else's by now. */
  readonly seen: readonly (readonly [pid: number, startTime: string])[];
}

interface LeaseRow {
  readonly key: Key;
  readonly run: number;
  readonly attempt: number | null;
  readonly cell: string;
  readonly host: string;
  readonly pid: number;
  readonly boot: string;
  readonly pid_started: string;
  readonly heartbeat_at: number;
  readonly processes: string;
}

const heartbeatMs = 3000;
/** A holder whose process lives on but whose heart stands still (stopped by Ctrl-Z, stuck) loses its leases after this. */
const stuckMs = 60_000;

/** Of a stage that starts a hundred thousand processes, the last ones are those that may still run. */
const mostSeen = 1000;

/** Runs of this process that are going on. A lease of one that is not was left by it, such as when the disk was full. */
const goingOn = new Set<string>();

export class Leases {
  readonly #database: Database;
  readonly #run: number;
  readonly #held = new Set<Key>();
  /** Released, and still in the database. */
  readonly #left = new Set<Key>();
  readonly #trees = new Map<Key, { readonly folder: string; readonly seen: ReadonlyMap<number, string>; written: number }>();
  /** When a heartbeat was last seen to change, by this process's own steady clock: wall clocks jump and differ. */
  readonly #watched = new Map<Key, { heartbeat: number; since: number }>();
  #timer: NodeJS.Timeout | null = null;

  readonly #select: Statement<[string], LeaseRow>;
  readonly #add: Statement;
  readonly #describe: Statement;
  readonly #drop: Statement;

  constructor(database: Database, run: number) {
    this.#database = database;
    this.#run = run;
    goingOn.add(this.#nameOf(run));
    this.#select = database.prepare('SELECT * FROM lease WHERE key = ?');
    this.#add = database.prepare('INSERT INTO lease (key, run, cell, host, pid, boot, pid_started, acquired_at, heartbeat_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#describe = database.prepare('UPDATE lease SET attempt = ?, processes = ? WHERE key = ? AND run = ?');
    this.#drop = database.prepare('DELETE FROM lease WHERE key = ? AND run = ? AND pid = ? AND host = ?');
  }

  /** Takes the lease, or names who holds it. */
  acquire(key: Key, cell: string): { readonly held: true } | { readonly held: false; readonly holder: LeaseHolder } {
    const holder = this.#database.transaction((): LeaseHolder | null => {
      const there = this.holder(key);
      if (there !== null) return there;
      this.#insert(key, cell);
      return null;
    }).immediate();
    if (holder !== null) return { held: false, holder };
    this.#keep(key);
    return { held: true };
  }

  holder(key: Key): LeaseHolder | null {
    const row = this.#select.get(key);
    return row === undefined ? null : toHolder(row);
  }

  /** All leases of this cache. */
  list(): LeaseHolder[] {
    return listLeases(this.#database);
  }

  /**
   * Whether the holder can be relied on. `gone`: its process ended, or it has given no sign of life for so long that it
   * may be taken over.
   */
  judge(holder: LeaseHolder): 'working' | 'gone' {
    const state = ownerState(holder);
    if (state === 'dead' || (sameOwner(holder, thisProcess()) && !goingOn.has(this.#nameOf(holder.run)))) return 'gone';
    const now = performance.now();
    const watched = this.#watched.get(holder.key);
    if (watched === undefined || watched.heartbeat !== holder.heartbeat) {
      this.#watched.set(holder.key, { heartbeat: holder.heartbeat, since: now });
      return 'working';
    }
    return now - watched.since > stuckMs ? 'gone' : 'working';
  }

  /**
   * Ends what the gone holder's stage has left running here, marks its attempt lost, and drops the lease. False when
   * the holder came back or somebody else was quicker.
   */
  async clear(holder: LeaseHolder): Promise<boolean> {
    if (holder.host === thisProcess().host) {
      // After a boot the same number and start time can be another's.
      const known = holder.bootId === thisProcess().bootId;
      for (const { folder, seen } of holder.trees) await endTree({ folder, root: null, seen: new Map(known ? seen : []) });
    }
    return this.#database.transaction(() => {
      const now = this.holder(holder.key);
      if (now === null || now.heartbeat !== holder.heartbeat || now.run !== holder.run) return false;
      this.#database.prepare('DELETE FROM lease WHERE key = ?').run(holder.key);
      if (holder.attempt !== null) {
        this.#database
          .prepare(`UPDATE attempt SET status = 'lost', ended_at = ?, message = ? WHERE id = ? AND status = 'running'`)
          .run(Date.now(), `${describeOwner(holder)} ended without finishing it`, holder.attempt);
      }
      this.#watched.delete(holder.key);
      return true;
    }).immediate();
  }

  /** Writes down what is being run under the lease; to be called in the transaction that begins the attempt. */
  attach(key: Key, attempt: number, folder: string): void {
    const tree: LeasedTree = { folder, seen: [] };
    this.#describe.run(attempt, JSON.stringify([tree]), key, this.#run);
  }

  /**
   * From now on each heartbeat writes down the processes of the tree that are known by then. Until the first one, and for what is
   * younger than the last, the folder has to do: processes have it in their environment, and most work in it.
   */
  watch(key: Key, tree: { readonly folder: string; readonly seen: ReadonlyMap<number, string> }): void {
    this.#trees.set(key, { ...tree, written: 0 });
  }

  /** Whether it is still ours: a commit asks in its own transaction. */
  holds(key: Key): boolean {
    const holder = this.holder(key);
    const me = thisProcess();
    return holder !== null && holder.run === this.#run && holder.pid === me.pid && holder.host === me.host && holder.startTime === me.startTime;
  }

  release(key: Key): void {
    if (!this.#held.has(key)) return;
    // First: what cannot be written now (a full disk) is not tried again at the end of the run.
    this.forget(key);
    this.#dropOrLeave(key);
  }

  /** What a locked database does not take now is done with a later heartbeat: others would wait for this process to end. */
  #dropOrLeave(key: Key): void {
    this.#left.delete(key);
    try {
      this.drop(key);
    } catch (error) {
      if (!isLocked(error)) throw error;
      this.#left.add(key);
      this.#tick();
    }
  }

  /** The part of a release that belongs into the transaction of a commit; `forget` follows when that is through. */
  drop(key: Key): void {
    const { host, pid } = thisProcess();
    this.#drop.run(key, this.#run, pid, host);
  }

  forget(key: Key): void {
    this.#held.delete(key);
    this.#trees.delete(key);
    if (this.#held.size === 0 && this.#left.size === 0) this.#stop();
  }

  /** At the end of the run. */
  close(): void {
    goingOn.delete(this.#nameOf(this.#run));
    this.#stop();
    // One that stays all the same belongs to a process, or to a run of one, that is gone: nobody waits for it.
    for (const key of [...this.#held]) this.release(key);
    for (const key of [...this.#left]) this.#dropOrLeave(key);
    this.#stop();
  }

  #nameOf(run: number): string {
    return `${this.#database.name}\0${run}`;
  }

  #insert(key: Key, cell: string): void {
    const { host, pid, bootId, startTime } = thisProcess();
    this.#add.run(key, this.#run, cell, host, pid, bootId, startTime, Date.now(), Date.now());
  }

  #keep(key: Key): void {
    this.#held.add(key);
    this.#tick();
  }

  #tick(): void {
    this.#timer ??= setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  #beat(): void {
    const { host, pid } = thisProcess();
    try {
      unlessLocked(this.#database, () => {
        // Grows even where the clock was set back: that it changes is what the others look at.
        this.#database
          .prepare('UPDATE lease SET heartbeat_at = max(heartbeat_at + 1, ?) WHERE run = ? AND pid = ? AND host = ?')
          .run(Date.now(), this.#run, pid, host);
        for (const [key, tree] of this.#trees) this.#writeTree(key, tree);
        for (const key of [...this.#left]) this.#dropOrLeave(key);
      });
      if (this.#held.size === 0 && this.#left.size === 0) this.#stop();
    } catch {
      // A full disk or a locked database: the next beat is soon, and whoever commits finds the trouble and says so.
    }
  }

  #writeTree(key: Key, tree: { readonly folder: string; readonly seen: ReadonlyMap<number, string>; written: number }): void {
    const { folder, seen } = tree;
    if (seen.size === tree.written) return;
    const leased: LeasedTree = { folder, seen: [...seen].slice(-mostSeen) };
    this.#database.prepare('UPDATE lease SET processes = ? WHERE key = ? AND run = ?').run(JSON.stringify([leased]), key, this.#run);
    tree.written = seen.size;
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }
}

export const listLeases = (database: Database): LeaseHolder[] => database.prepare<[], LeaseRow>('SELECT * FROM lease ORDER BY acquired_at').all().map(toHolder);

function toHolder(row: LeaseRow): LeaseHolder {
  return {
    key: row.key, run: row.run, attempt: row.attempt, cell: row.cell, host: row.host, pid: row.pid, bootId: row.boot, startTime: row.pid_started,
    heartbeat: row.heartbeat_at, trees: JSON.parse(row.processes) as LeasedTree[],
  };
}
