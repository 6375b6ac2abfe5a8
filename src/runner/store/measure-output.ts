/** What an output is: its digest, size and the stats of all that is in it. */
import { lstatSync } from 'node:fs';
import type { BigIntStats, Stats } from 'node:fs';
import { PipeError } from '../diagnostic.ts';
import { bytePath, errorCode, fileTrouble, fsPath, hashFile, isExecutable } from './file-bytes.ts';
import { hashAndSync } from './hash-async.ts';
import { hashTree, namedDigest, statEntry } from './merkle.ts';
import type { Artefact, Digest } from './model.ts';

/** An entry below an artefact: path relative to it, '' for itself. */
export interface Entry {
  readonly relative: string;
  readonly stat: BigIntStats;
  readonly digest: Uint8Array;
}

export interface Measured {
  readonly artefact: Artefact;
  readonly entries: readonly Entry[];
}

/** As `measure`, without stopping the event loop for the length of the reading; the files are synced as well. */
export async function measureOutput(path: string, name: string): Promise<Measured> {
  const files: string[] = [];
  const root = bytePath(path);
  if (statEntry(root).isDirectory()) {
    const nothing = Buffer.alloc(32);
    hashTree(root, { open: () => () => nothing, entry: (file, type) => void (type === 'f' || type === 'x' ? files.push(file) : null) });
  } else files.push(root);
  const digests = await hashAndSync(files);
  return measureWith(path, name, file => digests.get(file) ?? null, null);
}

/** Digest and entries of an output as it lies on disk; every file is read. */
export function measure(path: string, name: string): Measured {
  return measureWith(path, name, () => null, null);
}

/** `known`: digests that need not be found again. `before`: the files' stats at that time; a file that differs throws. */
export function measureWith(path: string, name: string, known: (path: string) => Uint8Array | null, before: Map<string, BigIntStats> | null): Measured {
  const root = bytePath(path);
  const digestOf = (file: string, stat: BigIntStats): Uint8Array => {
    const first = before?.get(file);
    if (before !== null && (first === undefined || first.size !== stat.size || first.mtimeNs !== stat.mtimeNs)) throw changedMeanwhile(path);
    return known(file) ?? hashFile(file);
  };
  const stat = statEntry(root);
  const entries: Entry[] = [];
  if (stat.isFile()) {
    const digest = digestOf(root, stat);
    const artefact: Artefact = {
      digest: namedDigest(isExecutable(stat) ? 'x' : 'f', bytePath(name), digest), name, type: 'file', size: Number(stat.size), files: 1,
    };
    return { artefact, entries: [{ relative: '', stat, digest }] };
  }
  if (!stat.isDirectory()) throw new PipeError(`${path} is neither a file nor a folder`, { exitCode: 1, code: 'special-file' });
  const tree = hashTree(root, {
    open: folder => (file, fileStat) => digestOf(`${folder}/${file}`, fileStat),
    entry: (entry, _type, entryStats, digest) => void entries.push({ relative: entry.slice(root.length + 1), stat: entryStats, digest }),
  });
  entries.push({ relative: '', stat, digest: tree.digest });
  const digest: Digest = namedDigest('d', bytePath(name), tree.digest);
  return { artefact: { digest, name, type: 'folder', size: tree.size, files: tree.files }, entries };
}

export function changedMeanwhile(path: string): PipeError {
  return new PipeError(`${path} changed while it was being kept: something that the stage started still writes to it`, {
    exitCode: 1, code: 'output-changed', hint: 'let the command wait for all of its processes',
  });
}

export function entryStat(path: string): BigIntStats | null {
  return statOrNull(path, () => lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false }));
}

/** See `rough-times.ts`. */
export function roughEntryStat(path: string): Stats | null {
  return statOrNull(path, () => lstatSync(fsPath(path), { throwIfNoEntry: false }));
}

function statOrNull<T>(path: string, look: () => T | undefined): T | null {
  try {
    return look() ?? null;
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') return null;
    throw fileTrouble(path, error);
  }
}
