/** `cache/out/<pipeline>/<cell>/<output>`: symbolic links to the artefacts, for people and for other programs. */
import { lstatSync, mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import { sha256 } from './file-bytes.ts';
import type { Artefact } from './model.ts';
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
  return join(cache, 'out', pipeline, ...stage.split('/').slice(0, -1), short);
}

/**
 * Points the links of a cell at its outputs, each by one atomic swap and only where it differs. Returns the paths of
 * those that were changed. A file that somebody put in a link's place is kept beside it.
 */
export function showOutputs(store: Store, graph: CellGraph, cell: Cell, outputs: Readonly<Record<string, Artefact>>): string[] {
  const folder = visibleFolder(store.cache, graph.pipeline, cell.id);
  const changed: string[] = [];
  for (const [name, artefact] of Object.entries(outputs)) {
    const link = join(folder, name);
    const target = relative(folder, store.artefacts.pathOf(artefact));
    const now = linkTarget(link);
    if (now === target) continue;
    if (changed.length === 0) mkdirSync(folder, { recursive: true });
    if (now === 'other') renameSync(link, `${link}.edited-${Date.now().toString(36)}`);
    const temporary = join(dirname(link), `.${name}.${process.pid}-${swaps++}`);
    symlinkSync(target, temporary);
    renameSync(temporary, link);
    changed.push(link);
  }
  return changed;
}

/** Where a link points; `other` for something that is no link, null for nothing. */
function linkTarget(path: string): string | 'other' | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  return stat.isSymbolicLink() ? readlinkSync(path) : 'other';
}

function truncated(text: string, bytes: number): string {
  let end = Math.min(text.length, bytes);
  while (Buffer.byteLength(text.slice(0, end)) > bytes) end--;
  return text.slice(0, end);
}
