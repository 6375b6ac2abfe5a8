/** Whether a file is still the one that was read: by its stat, and by its bytes where the stat leaves a doubt. */
import { lstatSync, statSync } from 'node:fs';
import { bytePath, hashFile } from '../store/file-bytes.ts';

export interface FileStamp {
  readonly path: string;
  /** size, mtime, ctime (nanoseconds), inode as text; null for a file that was not there. */
  readonly stat: string | null;
  /** Milliseconds since 1970, before it was read. */
  readonly checkedAt: number;
  /** SHA-256 of its bytes; null for one that was not there, or a folder. */
  readonly digest: string | null;
}

export function stampFile(path: string): FileStamp {
  const checkedAt = Date.now();
  const stat = statText(path);
  return { path, stat: stat?.text ?? null, checkedAt, digest: stat === null || stat.folder ? null : hashFile(bytePath(path)).toString('hex') };
}

/** A stamp by stat alone, for what may be too large to be read: any change of that counts. */
export function statStamp(path: string): FileStamp {
  return { path, stat: statText(path)?.text ?? null, checkedAt: Date.now(), digest: null };
}

/** A stamp for a file that was read just before: `since` is when its reading began. */
export function stampsOf(paths: Iterable<string>, since: number): FileStamp[] {
  return Array.from(paths, path => ({ ...stampFile(path), checkedAt: since }));
}

/** When the file last changed, milliseconds since 1970; 0 for one that was not there. */
export function newestOf(stamp: FileStamp): number {
  if (stamp.stat === null) return 0;
  const [, mtime, ctime] = stamp.stat.split(' ');
  return Math.max(Number(BigInt(mtime!) / 1_000_000n), Number(BigInt(ctime!) / 1_000_000n));
}

/**
 * `same`: surely unchanged. A new stamp: touched, or changed too shortly before it was read to tell, but the same bytes.
 * Null: it changed, appeared or went.
 */
export function checkStamp(stamp: FileStamp): 'same' | FileStamp | null {
  const stat = statText(stamp.path);
  if (stat === null || stamp.stat === null) return stat === null && stamp.stat === null ? 'same' : null;
  if (stat.text === stamp.stat && stat.newestMs < stamp.checkedAt - 2000) return 'same';
  if (stat.folder || stamp.digest === null) return stat.text === stamp.stat ? 'same' : null;
  const now = stampFile(stamp.path);
  return now.digest === stamp.digest ? now : null;
}

/** All stamps again: null when any file changed; else the stamps to keep, and whether they differ from before. */
export function checkStamps(stamps: readonly FileStamp[]): { readonly stamps: readonly FileStamp[]; readonly renewed: boolean } | null {
  let renewed = false;
  const kept: FileStamp[] = [];
  for (const stamp of stamps) {
    const now = checkStamp(stamp);
    if (now === null) return null;
    if (now !== 'same') renewed = true;
    kept.push(now === 'same' ? stamp : now);
  }
  return { stamps: kept, renewed };
}

function statText(path: string): { readonly text: string; readonly newestMs: number; readonly folder: boolean } | null {
  let stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat?.isSymbolicLink() === true) stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return null;
  const newest = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
  return { text: `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino}`, newestMs: Number(newest / 1_000_000n), folder: stat.isDirectory() };
}
