/**
 * The stats of a large tree, looked at by several threads. System calls through `node:fs` keep a core busy, and there are
 * others: who is free takes the next task. What the tasks need lies in shared memory; nobody waits for an event loop.
 */
import type { Stats } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { filesUntouched, folderUntouched } from './check-files.ts';
import type { FolderTimes } from './folder-proof.ts';
import { StatRow } from './stat-row.ts';

export interface FolderToCheck {
  readonly path: string;
  readonly times: FolderTimes;
  readonly files: number;
  /** Where somebody has just asked for it. */
  readonly stat: Stats | null;
  /** The packed row. */
  packed(): Buffer;
  /** Null when it cannot be unpacked. */
  row(): StatRow | null;
}

/** What a helper is told. Per task two numbers: the folder, and the first of its files. */
export interface StatJob {
  readonly folders: readonly { readonly path: string; readonly times: FolderTimes; readonly at: number; readonly length: number }[];
  readonly tasks: Int32Array;
  readonly rows: SharedArrayBuffer;
  /** The next task to be taken, then the state of each. */
  readonly states: Int32Array;
}

export type RowOf = (folder: number) => StatRow | null;

const filesPerTask = 512;
const mostHelpers = 3;

export interface Helpers {
  /** Path of `stat-helper.js`. */
  readonly program: string;
  /** How many files are worth one more thread. It takes some 50 ms to start, in which this one looks at some 15,000. */
  readonly filesEach: number;
}

const open = 0;
const untouched = 1;
const touched = 2;

/** For each folder whether it and all its files are surely as they were. */
export function checkFolders(folders: readonly FolderToCheck[], helpers: Helpers | null): boolean[] {
  const worth = helpers === null ? 0 : Math.floor(folders.reduce((sum, folder) => sum + folder.files, 0) / helpers.filesEach);
  const count = worth < 1 ? 0 : Math.min(worth, mostHelpers, availableParallelism() - 1);
  if (count < 1 || helpers === null) {
    return folders.map(folder => {
      if (!folderUntouched(folder.path, folder.times, folder.stat)) return false;
      const row = folder.row();
      return row !== null && filesUntouched(folder.path, row, 0, row.names.length);
    });
  }
  const workers = Array.from({ length: count }, () => startHelper(helpers.program));
  const job = makeJob(folders);
  for (const worker of workers) worker.postMessage(job);
  const rowOf: RowOf = folder => folders[folder]!.row();
  work(job, rowOf);
  finish(job, rowOf, 2000);
  for (const worker of workers) void worker.terminate();
  return outcome(job);
}

/** For each folder of a finished job whether all its tasks found what they looked for. */
export function outcome({ folders, tasks, states }: StatJob): boolean[] {
  const result = folders.map(() => true);
  for (let task = 0; task < states.length - 1; task++) if (states[task + 1] !== untouched) result[tasks[task * 2]!] = false;
  return result;
}

function startHelper(program: string): Worker {
  const worker = new Worker(program, { stdin: false });
  // A helper that cannot run is no trouble: its tasks stay open, and the main thread does them.
  worker.on('error', () => undefined);
  worker.unref();
  return worker;
}

export function makeJob(folders: readonly FolderToCheck[]): StatJob {
  const tasks: number[] = [];
  let length = 0;
  const described = folders.map((folder, index) => {
    const { path, files, times } = folder;
    for (let first = 0; first === 0 || first < files; first += filesPerTask) tasks.push(index, first);
    const { mtime, ctime, inode, checkedAt } = times;
    const place = { path, times: { mtime, ctime, inode, checkedAt }, at: length, length: folder.packed().length };
    length = (length + place.length + 7) & ~7;
    return place;
  });
  const rows = new SharedArrayBuffer(length);
  const bytes = new Uint8Array(rows);
  for (const [index, folder] of folders.entries()) bytes.set(folder.packed(), described[index]!.at);
  const shared = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4));
  const taskTable = shared(tasks.length);
  taskTable.set(tasks);
  return { folders: described, tasks: taskTable, rows, states: shared(1 + tasks.length / 2) };
}

/** Takes tasks until there are no more. */
export function work(job: StatJob, rowOf: RowOf): void {
  for (;;) {
    const task = Atomics.add(job.states, 0, 1);
    if (task >= job.states.length - 1) return;
    doTask(job, task, rowOf);
  }
}

function doTask({ folders, tasks, states }: StatJob, task: number, rowOf: RowOf): void {
  const folder = tasks[task * 2]!;
  const first = tasks[task * 2 + 1]!;
  const { path, times } = folders[folder]!;
  const row = rowOf(folder);
  const good = row !== null && (first > 0 || folderUntouched(path, times, null)) && filesUntouched(path, row, first, Math.min(first + filesPerTask, row.names.length));
  Atomics.store(states, task + 1, good ? untouched : touched);
  Atomics.notify(states, task + 1);
}

/** Waits for what helpers have taken, and does it here if one has died over it: if nothing comes of it in so many milliseconds. */
export function finish(job: StatJob, rowOf: RowOf, patience: number): void {
  for (let task = 0; task < job.states.length - 1; task++) {
    if (Atomics.load(job.states, task + 1) !== open) continue;
    if (Atomics.wait(job.states, task + 1, open, patience) === 'timed-out') doTask(job, task, rowOf);
  }
}
