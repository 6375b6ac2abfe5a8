/** `cache/out/<pipeline>/<cell>/<output>`: symbolic links to the artefacts, for people and for other programs. */
import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { faultPoint } from '../fault-point.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { errorCode, sha256 } from './file-bytes.ts';
import type { Artefact } from './model.ts';
import { isAlive } from './pid.ts';
import type { Store } from './store.ts';

const longestName = 200;
let swaps = 0;

/** The folder in which a cell's outputs are shown. */
export function visibleFolder(cache: string, pipeline: string, cellId: string): string {
  const bracket = cellId.indexOf('[');
  const stage = bracket < 0 ? cellId : cellId.slice(0, bracket);
  const point = bracket < 0 ? '' : cellId.slice(bracket);
  // Values of a point may hold what a folder's name cannot; stages of included pipelines have folders of their own.
  const name = stage.split('/').at(-1)! + point.replace(/[/\0%]/g, c => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);
  const short = Buffer.byteLength(name) <= longestName ? name : `${truncated(name, longestName - 13)}-${sha256(name).slice(0, 12)}`;
  return [cache, 'out', pipeline, ...stage.split('/').slice(0, -1), short].join('/');
}

/**
 * Points the links of a cell at those of its outputs that are here, each by one atomic swap and only where it differs.
 * Returns the paths of those that were changed. A file that somebody put in a link's place is kept beside it.
 */
export function showOutputs(store: Store, graph: CellGraph, cell: Cell, outputs: Readonly<Record<string, Artefact>>): string[] {
  const folder = visibleFolder(store.cache, graph.pipeline, cell.id);
  // Relative, so that the cache may be moved as a whole.
  const up = '../'.repeat(folder.slice(store.cache.length + 1).split('/').length);
  const changed: string[] = [];
  for (const [name, artefact] of Object.entries(outputs)) {
    const link = `${folder}/${name}`;
    const target = `${up}artefacts/${artefact.digest}/${artefact.name}`;
    const now = linkTarget(link);
    if (now === target || !existsSync(store.artefacts.pathOf(artefact))) continue;
    if (changed.length === 0) mkdirSync(folder, { recursive: true });
    if (now === 'other') renameSync(link, `${link}.edited-${Date.now().toString(36)}`);
    if (changed.length === 0) sweep(folder);
    const temporary = `${folder}/.${name}.${process.pid}-${swaps++}`;
    symlinkSync(target, temporary);
    faultPoint('link-made');
    renameSync(temporary, link);
    faultPoint('link-swapped');
    changed.push(link);
  }
  return changed;
}

/** Links that a killed process has made and not swapped in: then this cell's are swapped again, which is when they go. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const match = /^\..+\.(\d+)-\d+$/.exec(name);
    if (match !== null && !isAlive(Number(match[1]))) rmSync(join(folder, name), { force: true });
  }
}

/** Where a link points; `other` for something that is no link, null for nothing. One system call where all is well. */
function linkTarget(path: string): string | 'other' | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    if (code === 'EINVAL') return 'other';
    throw error;
  }
}

function truncated(text: string, bytes: number): string {
  let end = Math.min(text.length, bytes);
  while (Buffer.byteLength(text.slice(0, end)) > bytes) end--;
  return text.slice(0, end);
}
