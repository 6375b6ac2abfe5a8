/** What of a host's work folder nobody has used for long, and removing it. */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ownerState } from '../../run/owner.ts';
import { removeTree } from '../../store/read-only-tree.ts';
import type { HostArtefact, HostGcItem, HostGcPlan, HostGcRequest } from '../protocol.ts';
import { artefactsOf } from './artefacts-of.ts';
import { blobName } from './host-store.ts';
import { jobNames, jobPaths, readExit, readJob, readJson } from './job-folder.ts';
import type { Supervisor } from './job-folder.ts';

/** What was touched so shortly ago may be on its way into a job. */
const settledMs = 3_600_000;

interface Found extends HostGcItem {
  readonly digest: string | null;
  /** Contents of an artefact. */
  readonly blobs: ReadonlyMap<string, number>;
  readonly path: string;
}

/** Plans, and with `remove` does it; `program`: the folder of the programs that are asking. */
export function collectHostGarbage(folder: string, program: string, request: HostGcRequest): HostGcPlan {
  const now = Date.now();
  const inUse = usedByJobs(folder);
  const keep = new Set(request.keep);
  const artefacts = findArtefacts(folder);
  const old = (lastUsed: number): boolean => now - lastUsed > Math.max(request.unusedForMs, settledMs);
  const kept = { inUse: 0, onlyHere: 0, recent: 0 };
  const remove = new Set<Found>();
  const candidates: Found[] = [];
  for (const found of artefacts) {
    if (inUse.has(found.digest!)) kept.inUse++;
    else if (keep.has(found.digest!)) kept.onlyHere++;
    else if (old(found.lastUsed)) remove.add(found);
    else if (now - found.lastUsed > settledMs) candidates.push(found);
    else kept.recent++;
  }
  if (request.maxBytes !== null) {
    for (const found of candidates.sort((a, b) => a.lastUsed - b.lastUsed)) {
      if (bytesOf(artefacts.filter(other => !remove.has(other))) <= request.maxBytes) break;
      remove.add(found);
    }
  }
  kept.recent += candidates.filter(found => !remove.has(found)).length;
  const left = artefacts.filter(found => !remove.has(found));
  const others = [...oldJobs(folder, lastUsed => now - lastUsed >= request.unusedForMs), ...oldCheckpoints(folder, old), ...oldPrograms(folder, program, old), ...leftovers(folder, now, left, remove)];
  const bytesBefore = bytesOf(artefacts) + others.reduce((sum, { bytes }) => sum + bytes, 0);
  const plan: HostGcPlan = {
    remove: [...remove, ...others].map(({ kind, name, bytes, lastUsed }) => ({ kind, name, bytes, lastUsed })), kept, bytesBefore, bytesAfter: bytesOf(left),
  };
  if (request.remove) for (const found of [...remove, ...others]) drop(folder, found);
  if (request.remove) dropUnnamed(folder, now);
  return plan;
}

/** Contents that several artefacts share lie there once. */
function bytesOf(artefacts: readonly Found[]): number {
  const sizes = new Map<string, number>();
  for (const { blobs } of artefacts) for (const [name, size] of blobs) sizes.set(name, size);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function findArtefacts(folder: string): Found[] {
  const manifests = join(folder, 'store', 'manifests');
  return names(manifests).flatMap((name): Found[] => {
    const path = join(manifests, name);
    if (!name.endsWith('.json')) return [];
    try {
      const { artefact, entries } = JSON.parse(readFileSync(path, 'utf8')) as HostArtefact;
      const blobs = new Map(entries.flatMap(([type, , content, size]) => (type === 'f' || type === 'x' ? [[blobName(type, content), size] as const] : [])));
      return [{ kind: 'artefact', name: artefact.name, bytes: artefact.size, lastUsed: statSync(path).mtimeMs, digest: artefact.digest, blobs, path }];
    } catch {
      return []; // removed meanwhile, or half written by a crash of the machine: the next look at it removes it
    }
  });
}

/** Of jobs that wait, run, or have a result that nobody has fetched. */
function usedByJobs(folder: string): Set<string> {
  const used = new Set<string>();
  for (const name of jobNames(folder)) {
    const paths = jobPaths(folder, name);
    const job = readJob(paths);
    if (job === null || existsSync(paths.released)) continue;
    for (const { digest } of [...artefactsOf(job), ...job.trees, ...[job.bundle, job.checkpoint].flatMap(artefact => artefact ?? []), ...Object.values(readExit(paths)?.outputs ?? {})]) used.add(digest);
  }
  return used;
}

/** Ended, so nothing of it is on its way anywhere, and what it wrote may be what the disk is full of. */
function oldJobs(folder: string, old: (lastUsed: number) => boolean): Found[] {
  return jobNames(folder).flatMap(name => {
    const paths = jobPaths(folder, name);
    const lastUsed = Math.max(...[paths.job, paths.exit, paths.released, paths.heartbeat].map(path => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0));
    const supervisor = readJson<Supervisor>(paths.supervisor);
    const over = readExit(paths) !== null ? existsSync(paths.released) : supervisor === null || ownerState(supervisor) === 'dead';
    if (!old(lastUsed) || !over) return [];
    return [other('job', readJob(paths)?.cell.id ?? name, paths.folder, lastUsed)];
  });
}

function oldCheckpoints(folder: string, old: (lastUsed: number) => boolean): Found[] {
  const root = join(folder, 'checkpoints');
  return names(root).flatMap(name => {
    const path = join(root, name);
    const lastUsed = newest(path);
    return old(lastUsed) && !isAtWork(folder, name) ? [other('checkpoint', name.slice(0, 12), path, lastUsed)] : [];
  });
}

function isAtWork(folder: string, name: string): boolean {
  const paths = jobPaths(folder, name);
  return readJob(paths) !== null && readExit(paths) === null;
}

/** Programs and Nodes of other versions of pipe: sent again when they are wanted again. */
function oldPrograms(folder: string, program: string, old: (lastUsed: number) => boolean): Found[] {
  const root = join(folder, 'bin');
  return names(root).flatMap(name => {
    const path = join(root, name);
    const lastUsed = newest(path);
    return path === program || process.execPath.startsWith(`${path}/`) || !old(lastUsed) ? [] : [other('program', name, path, lastUsed)];
  });
}

/** Contents that no artefact names, and what a transfer that was cut off has left. */
function leftovers(folder: string, now: number, left: readonly Found[], removed: ReadonlySet<Found>): Found[] {
  const named = new Set([...left, ...removed].flatMap(({ blobs }) => [...blobs.keys()]));
  const found: Found[] = [];
  for (const path of [...blobPaths(folder).filter(blob => !named.has(blob.split('/').at(-1)!)), ...names(join(folder, 'store', 'incoming')).map(name => join(folder, 'store', 'incoming', name))]) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && now - stat.mtimeMs > settledMs && now - stat.ctimeMs > settledMs) found.push(other('leftover', path.split('/').at(-1)!.slice(0, 12), path, stat.mtimeMs));
  }
  return found;
}

function drop(folder: string, { digest, path }: Found): void {
  // The manifest first: from then on the artefact is not there.
  const tree = digest === null ? path : join(folder, 'store', 'artefacts', digest);
  if (digest !== null) rmSync(path, { force: true });
  const stat = lstatSync(tree, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) removeTree(tree);
  else if (stat !== undefined) rmSync(tree, { force: true });
}

/** Contents whose last artefact has just gone: nothing but the store's own name is left of them. */
function dropUnnamed(folder: string, now: number): void {
  const named = new Set(findArtefacts(folder).flatMap(({ blobs }) => [...blobs.keys()]));
  for (const path of blobPaths(folder)) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && stat.nlink === 1 && !named.has(path.split('/').at(-1)!) && now - stat.mtimeMs > settledMs) rmSync(path, { force: true });
  }
}

function blobPaths(folder: string): string[] {
  const root = join(folder, 'store', 'blobs');
  return names(root).flatMap(part => names(join(root, part)).map(name => join(root, part, name)));
}

const other = (kind: HostGcItem['kind'], name: string, path: string, lastUsed: number): Found => ({ kind, name, bytes: sizeOf(path), lastUsed, digest: null, blobs: new Map(), path });

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not made yet
  }
}

export function sizeOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  return stat.isDirectory() ? names(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : stat.size;
}

function newest(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  return stat.isDirectory() ? Math.max(stat.mtimeMs, ...names(path).map(name => newest(join(path, name)))) : stat.mtimeMs;
}
