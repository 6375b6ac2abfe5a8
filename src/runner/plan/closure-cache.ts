/** Closures on disk, keyed by the stage module's path and proved by the stats of every file they were made from. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '../store/file-bytes.ts';
import { walkClosure } from './closure.ts';
import type { Closure, ClosureOptions } from './closure.ts';
import { checkStamp, stampFile } from './file-stamp.ts';
import type { FileStamp } from './file-stamp.ts';
import { scanModule, scanModuleSync } from './module-scan.ts';
import type { ScannedModule } from './module-scan.ts';

const format = 1;

interface StoredClosure {
  readonly format: number;
  readonly closure: Closure;
  readonly stamps: readonly FileStamp[];
}

export interface ClosureCacheOptions extends ClosureOptions {
  /** Absolute path of the cache folder. */
  readonly cache: string;
}

/** The closure of a stage module as the files are now. Throws PipeError with file:line:column for what cannot be keyed. */
export async function loadClosure(options: ClosureCacheOptions): Promise<Closure> {
  const known = readStored(options);
  if (known !== null && 'closure' in known) return known.closure;
  const walk = walkClosure(options);
  const stamps = new Map<string, FileStamp>();
  let step = walk.next();
  while (!step.done) step = walk.next(await Promise.all(step.value.map(path => knownScan(path, known?.scans, stamps) ?? scanModule(path))));
  return keep(options, step.value, stamps);
}

/** The same without waiting, for planning: nearly always found in the cache, because loading the pipeline came before. */
export function loadClosureSync(options: ClosureCacheOptions): Closure {
  const known = readStored(options);
  if (known !== null && 'closure' in known) return known.closure;
  const walk = walkClosure(options);
  const stamps = new Map<string, FileStamp>();
  let step = walk.next();
  while (!step.done) step = walk.next(step.value.map(path => knownScan(path, known?.scans, stamps) ?? scanModuleSync(path)));
  return keep(options, step.value, stamps);
}

type Scans = ReadonlyMap<string, { readonly stamp: FileStamp; readonly scan: ScannedModule }>;

/** The stored closure if all its files are as they were, else the scans of those that are. */
function readStored(options: ClosureCacheOptions): { readonly closure: Closure } | { readonly scans: Scans } | null {
  let stored: StoredClosure;
  try {
    stored = JSON.parse(readFileSync(storedPath(options), 'utf8')) as StoredClosure;
  } catch {
    return null; // none yet, or one that a crash or another version left
  }
  if (stored.format !== format || stored.closure.base !== options.base || stored.closure.entry !== options.entry) return null;
  const checked = stored.stamps.map(checkStamp);
  if (!checked.includes(null)) {
    if (checked.some(stamp => stamp !== 'same')) write(options, stored.closure, checked.map((stamp, i) => (stamp === 'same' || stamp === null ? stored.stamps[i]! : stamp)));
    return { closure: stored.closure };
  }
  const scans = new Map<string, { stamp: FileStamp; scan: ScannedModule }>();
  const unchanged = new Map(stored.stamps.flatMap((stamp, index) => {
    const now = checked[index];
    return now === null || now === undefined ? [] : [[stamp.path, now === 'same' ? stamp : now] as const];
  }));
  for (const { path, scan } of stored.closure.files) {
    const stamp = unchanged.get(path);
    if (scan !== null && stamp !== undefined) scans.set(path, { stamp, scan });
  }
  return { scans };
}

/** A stamp is taken before the file is read: an edit in between is then found the next time. */
function knownScan(path: string, scans: Scans | undefined, stamps: Map<string, FileStamp>): ScannedModule | null {
  const known = scans?.get(path);
  stamps.set(path, known?.stamp ?? stampFile(path));
  return known?.scan ?? null;
}

function keep(options: ClosureCacheOptions, closure: Closure, stamps: Map<string, FileStamp>): Closure {
  for (const path of [...closure.files.map(file => file.path), ...closure.packageFiles, ...closure.probes]) {
    if (!stamps.has(path)) stamps.set(path, stampFile(path));
  }
  write(options, closure, [...stamps.values()]);
  return closure;
}

function write(options: ClosureCacheOptions, closure: Closure, stamps: readonly FileStamp[]): void {
  writeWhole(storedPath(options), JSON.stringify({ format, closure, stamps } satisfies StoredClosure));
}

function storedPath(options: ClosureCacheOptions): string {
  return join(options.cache, 'plans', `closure-${sha256(`${options.base}\0${options.entry}`).slice(0, 24)}.json`);
}

/**
 * By write and rename, so that nobody reads half of it. A cache that cannot be written is no reason to fail: it is
 * only slower then, and a run that needs to write will say so.
 */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, content);
    renameSync(temporary, path);
  } catch {
    return;
  }
}
