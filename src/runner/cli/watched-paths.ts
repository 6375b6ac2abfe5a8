/** What `--watch` looks at: pipeline files, the code of stages, and declared inputs that are small. Never data trees. */
import { lstatSync, opendirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import type { CellGraph } from '../pipeline/model.ts';

/** A folder or glob with more entries below it than this is data. */
export const mostEntries = 1000;
/** As are a file, or files together, of more bytes than this: looking at them again after each write would be work. */
export const mostBytes = 64 * 1024 * 1024;

export interface WatchedPaths {
  /** Absolute paths of files (which need not be there yet). */
  readonly files: ReadonlySet<string>;
  /** Absolute paths of folders that are watched with all that is in them. */
  readonly folders: ReadonlySet<string>;
  /** Inputs that are left out, as they are written in the pipeline. */
  readonly tooLarge: readonly string[];
}

export function watchedPaths(graph: CellGraph, skip: (path: string) => boolean): WatchedPaths {
  const files = new Set(graph.sources.filter(path => !path.includes(`${sep}node_modules${sep}`)));
  const folders = new Set<string>();
  const tooLarge = new Set<string>();
  const seen = new Set<string>();
  for (const cell of graph.cells) {
    for (const input of Object.values(cell.inputs)) {
      if (input.kind !== 'path' || seen.has(input.path)) continue;
      seen.add(input.path);
      const path = resolve(graph.root, input.glob ? fixedStart(input.path) : input.path);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) {
        if (isSmall(path, skip)) folders.add(path);
        else tooLarge.add(input.path);
      } else if (stat === undefined || stat.size <= mostBytes) files.add(path);
      else tooLarge.add(input.path);
    }
  }
  return { files, folders, tooLarge: [...tooLarge] };
}

/** Of a glob, the folder that all its matches are in. */
export function fixedStart(pattern: string): string {
  const parts = pattern.split('/');
  const first = parts.findIndex(part => /[*?[{]/.test(part));
  return first === 0 ? '.' : parts.slice(0, first === -1 ? -1 : first).join('/') || (isAbsolute(pattern) ? '/' : '.');
}

/** Stops counting as soon as it is too much: a data tree of millions of files costs a thousand looks. */
function isSmall(root: string, skip: (path: string) => boolean): boolean {
  let entries = 0;
  let bytes = 0;
  const open = [root];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const listing = opendirSync(folder);
    try {
      for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
        const path = join(folder, entry.name);
        if (skip(path)) continue;
        if (++entries > mostEntries) return false;
        if (entry.isDirectory()) open.push(path);
        else bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
        if (bytes > mostBytes) return false;
      }
    } finally {
      listing.closeSync();
    }
  }
  return true;
}

/** Whether a change at `path` matters, and whether a folder has to be looked into for one that does. */
export function isWatched(paths: WatchedPaths, path: string): boolean {
  if (paths.files.has(path) || paths.folders.has(path)) return true;
  for (let above = dirname(path); ; above = dirname(above)) {
    if (paths.folders.has(above)) return true;
    if (above === dirname(above)) return false;
  }
}

/** Folders to watch: those of single files (an editor replaces a file by another), and whole ones. Only ones that are there. */
export function watchRoots({ files, folders }: WatchedPaths): Set<string> {
  const roots = new Set(folders);
  for (const file of files) roots.add(existingFolder(dirname(file)));
  return roots;
}

function existingFolder(path: string): string {
  for (let folder = path; ; folder = dirname(folder)) {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true || folder === dirname(folder)) return folder;
  }
}
