/** `publish:` copies outputs into the project: real files of its owner's, written beside their place and moved there. */
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { bytePath } from './file-bytes.ts';
import { namedDigest } from './merkle.ts';
import type { Artefact } from './model.ts';
import type { Store } from './store.ts';

/** Copies what differs; returns the absolute paths that were written. */
export function publishOutputs(store: Store, graph: CellGraph, cell: Cell, outputs: Readonly<Record<string, Artefact>>): string[] {
  const written: string[] = [];
  for (const [name, path] of Object.entries(graph.stages[cell.stage]!.publish)) {
    const artefact = outputs[name];
    if (artefact === undefined) continue;
    const to = resolve(graph.root, path);
    if (holds(store, to, artefact)) continue;
    copyWhole(store.artefacts.pathOf(artefact), to, artefact);
    written.push(to);
  }
  return written;
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
export function copyWhole(from: string, to: string, artefact: Artefact): void {
  mkdirSync(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}.new`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    if (artefact.type === 'file') {
      copyFileSync(from, temporary);
      chmodSync(temporary, statSync(from).mode | 0o200);
      if (statSync(to, { throwIfNoEntry: false })?.isDirectory() === true) replaceFolder(temporary, to);
      else renameSync(temporary, to);
    } else {
      cpSync(from, temporary, { recursive: true, verbatimSymlinks: true });
      makeWritable(temporary);
      replaceFolder(temporary, to);
    }
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** A folder cannot be renamed over another: the old one steps aside first, and is back if the second step fails. */
function replaceFolder(temporary: string, to: string): void {
  const old = `${to}.${process.pid}.old`;
  if (existsSync(to)) renameSync(to, old);
  try {
    renameSync(temporary, to);
  } catch (error) {
    if (existsSync(old)) renameSync(old, to);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

function makeWritable(folder: string): void {
  chmodSync(folder, statSync(folder).mode | 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeWritable(path);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode | 0o200);
  }
}
