/** `publish:` copies outputs into the project: real files of its owner's, written beside their place and moved there. */
import { chmodSync, copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { faultPoint } from '../fault-point.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { bytePath, errorCode } from './file-bytes.ts';
import { namedDigest } from './merkle.ts';
import type { Artefact } from './model.ts';
import { isAlive } from './pid.ts';
import type { Store } from './store.ts';

/** Copies what differs; returns the absolute paths that were written. */
export function publishOutputs(store: Store, graph: CellGraph, cell: Cell, outputs: Readonly<Record<string, Artefact>>): string[] {
  const written: string[] = [];
  for (const [name, path] of Object.entries(graph.stages[cell.stage]!.publish)) {
    const artefact = outputs[name];
    if (artefact === undefined) continue;
    const to = resolve(graph.root, path);
    if (!holds(store, to, artefact)) {
      copyWhole(store.artefacts.pathOf(artefact), to, artefact);
      written.push(to);
    }
    sweep(store, dirname(to));
  }
  return written;
}

/** Those that the pipeline wants copied into the project and that are not there, by name. */
export function unpublished(store: Store, graph: CellGraph, cell: Cell, outputs: Readonly<Record<string, Artefact>>): [name: string, artefact: Artefact][] {
  return Object.entries(graph.stages[cell.stage]!.publish).flatMap(([name, path]) => {
    const artefact = outputs[name];
    return artefact === undefined || holds(store, resolve(graph.root, path), artefact) ? [] : [[name, artefact] as [string, Artefact]];
  });
}

/** Whether a path of the project has an artefact's content, under whatever name. */
function holds(store: Store, path: string, artefact: Artefact): boolean {
  try {
    const type = store.stats.typeOf(path);
    if (type === null || (type === 'd') !== (artefact.type === 'folder')) return false;
    if (type === 'd') return namedDigest('d', bytePath(artefact.name), store.stats.folder(path).digest) === artefact.digest;
    const file = store.stats.file(path);
    return file !== null && namedDigest(file.type, bytePath(artefact.name), file.digest) === artefact.digest;
  } catch (error) {
    // Unreadable or full of foreign things: it is replaced.
    if (error instanceof PipeError) return false;
    throw error;
  }
}

/** Copies a file or folder to `to`, replacing what is there by a rename; the copy is writable. */
function copyWhole(from: string, to: string, artefact: Artefact): void {
  mkdirSync(dirname(to), { recursive: true });
  const temporary = besides(to, 'new');
  rmSync(temporary, { recursive: true, force: true });
  try {
    if (artefact.type === 'file') {
      copyFileSync(from, temporary);
      chmodSync(temporary, statSync(from).mode | 0o200);
      faultPoint('copy-made');
      if (lstatSync(to, { throwIfNoEntry: false })?.isDirectory() === true) replaceFolder(temporary, to);
      else renameSync(temporary, to);
    } else {
      cpSync(from, temporary, { recursive: true, verbatimSymlinks: true });
      makeWritable(temporary);
      faultPoint('copy-made');
      replaceFolder(temporary, to);
    }
    faultPoint('copy-swapped');
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/**
 * A folder cannot be renamed over another: the old one steps aside first, and is back if the second step fails. Another
 * run that publishes the same may do so between the two steps; then it is done again.
 */
function replaceFolder(temporary: string, to: string): void {
  const old = besides(to, 'old');
  for (let attempt = 1; ; attempt++) {
    stepAside(to, old);
    faultPoint('copy-aside');
    try {
      renameSync(temporary, to);
      break;
    } catch (error) {
      const code = errorCode(error);
      if (attempt < 10 && (code === 'ENOTEMPTY' || code === 'EEXIST')) continue;
      if (existsSync(old) && !existsSync(to)) renameSync(old, to);
      throw error;
    }
  }
  rmSync(old, { recursive: true, force: true });
}

function stepAside(path: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  try {
    renameSync(path, to);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** Beside its place, hidden, and with the process's number: what one that is gone has left can be told from what is in use. */
const besides = (path: string, what: 'new' | 'old'): string => join(dirname(path), `.${basename(path)}.pipe-${process.pid}-${what}`);

const besideName = /^\..+\.pipe-(\d+)-(?:new|old)$/;
const swept = new WeakMap<Store, Set<string>>();

/** Removes what processes that were killed while they published have left in a folder; once a folder and run. */
function sweep(store: Store, folder: string): void {
  const done = swept.get(store) ?? new Set<string>();
  swept.set(store, done);
  if (done.has(folder)) return;
  done.add(folder);
  for (const name of readdirSync(folder)) {
    const match = besideName.exec(name);
    if (match !== null && !isAlive(Number(match[1]))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function makeWritable(folder: string): void {
  chmodSync(folder, statSync(folder).mode | 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeWritable(path);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode | 0o200);
  }
}
