/**
 * The locked versions of the packages that a stage's modules import, with all that those depend on. Optional and
 * platform packages of the lock file count too, installed or not: so the key is the same on every machine. Without a
 * lock file the installed versions count.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { PipeError } from '../diagnostic.ts';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

export interface PackageVersions {
  /** Where it lies below the outermost node_modules → version: `zod` or, for a nested one, `a/node_modules/b`. */
  readonly versions: Readonly<Record<string, string>>;
  /** Files that this was read from, and files that would change it if they appeared. */
  readonly files: readonly string[];
}

/** `@scope/name/deep/path` → `@scope/name`. */
export function packageName(specifier: string): string {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** For each package name the folders of the modules that import it, absolute. */
export function packageVersions(imports: ReadonlyMap<string, readonly string[]>): PackageVersions {
  const versions: Record<string, string> = {};
  const files = new Set<string>();
  for (const [name, folders] of imports) {
    for (const folder of new Set(folders)) {
      const lock = findLock(folder, files);
      if (lock === null) addInstalled(name, folder, versions, files);
      else addLocked(name, folder, lock, versions, files);
    }
  }
  return { versions: Object.fromEntries(Object.entries(versions).sort(([a], [b]) => (a < b ? -1 : 1))), files: [...files].sort() };
}

interface Lock {
  readonly folder: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const locks = new Map<string, { readonly text: string; readonly lock: Lock | null }>();

/** The nearest package-lock.json going up. Those looked for in vain on the way are noted: one that appears counts. */
function findLock(start: string, files: Set<string>): Lock | null {
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, 'package-lock.json');
    if (existsSync(path)) {
      files.add(path);
      const lock = readLock(path);
      if (lock !== null) return lock;
    } else if (existsSync(join(folder, 'package.json'))) {
      files.add(path);
    }
    if (dirname(folder) === folder) return null;
  }
}

function readLock(path: string): Lock | null {
  const text = readFileSync(path, 'utf8');
  const known = locks.get(path);
  if (known?.text === text) return known.lock;
  let parsed: { readonly packages?: Readonly<Record<string, LockedPackage>> };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw new PipeError(`${path} is not valid JSON`, { exitCode: 2, code: 'bad-lock-file', hint: 'run `npm install` to write it again', cause: error });
  }
  // Before npm 7 a lock file had no list of packages by place.
  const lock = parsed.packages === undefined ? null : { folder: dirname(path), packages: parsed.packages };
  locks.set(path, { text, lock });
  return lock;
}

function addLocked(name: string, folder: string, lock: Lock, versions: Record<string, string>, files: Set<string>): void {
  const queue: [name: string, from: string, optional: boolean][] = [[name, relative(lock.folder, folder), false]];
  const seen = new Set<string>();
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    const [wanted, from, optional] = item;
    const place = lockedPlace(wanted, from, lock);
    if (place === null) {
      // Not in the lock file: installed by other means, or optional and left out.
      if (!optional) addInstalled(wanted, join(lock.folder, from), versions, files);
      continue;
    }
    if (seen.has(place)) continue;
    seen.add(place);
    let entry = lock.packages[place]!;
    let base = place;
    if (entry.link === true && entry.resolved !== undefined) {
      base = entry.resolved;
      entry = lock.packages[base] ?? entry;
    }
    versions[shortName(place)] = entry.version ?? '0.0.0';
    for (const dependency of Object.keys(entry.dependencies ?? {})) queue.push([dependency, base, false]);
    for (const dependency of Object.keys(entry.optionalDependencies ?? {})) queue.push([dependency, base, true]);
    for (const dependency of Object.keys(entry.peerDependencies ?? {})) queue.push([dependency, base, true]);
  }
}

/** Node's rule: node_modules beside the importer, then one folder further up, and so on. */
function lockedPlace(name: string, from: string, lock: Lock): string | null {
  for (let folder = from; ; folder = parent(folder)) {
    if (folder !== 'node_modules' && !folder.endsWith('/node_modules')) {
      const place = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
      if (Object.hasOwn(lock.packages, place)) return place;
    }
    if (folder === '') return null;
  }
}

function parent(folder: string): string {
  const slash = folder.lastIndexOf('/');
  return slash < 0 ? '' : folder.slice(0, slash);
}

function addInstalled(name: string, from: string, versions: Record<string, string>, files: Set<string>): void {
  const queue: [name: string, from: string, optional: boolean][] = [[name, from, false]];
  const seen = new Set<string>();
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    const [wanted, start, optional] = item;
    const folder = installedFolder(wanted, start);
    if (folder === null) {
      if (!optional) versions[wanted] ??= 'missing';
      continue;
    }
    if (seen.has(folder)) continue;
    seen.add(folder);
    const file = join(folder, 'package.json');
    files.add(file);
    const entry = JSON.parse(readFileSync(file, 'utf8')) as LockedPackage;
    versions[shortName(folder)] = entry.version ?? '0.0.0';
    for (const dependency of Object.keys(entry.dependencies ?? {})) queue.push([dependency, realpathSync(folder), false]);
    const optionals = { ...entry.optionalDependencies, ...entry.peerDependencies };
    for (const dependency of Object.keys(optionals)) queue.push([dependency, realpathSync(folder), true]);
  }
}

function installedFolder(name: string, from: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name);
    if (existsSync(join(place, 'package.json'))) return place;
    if (dirname(folder) === folder) return null;
  }
}

/** What follows the first node_modules/ of a path. */
function shortName(place: string): string {
  const marker = 'node_modules/';
  const at = place.indexOf(marker);
  return at < 0 ? place : place.slice(at + marker.length);
}
