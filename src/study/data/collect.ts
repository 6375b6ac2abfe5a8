import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, stat } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import { imageEnding } from './image-type.ts';
import { writePairs } from './pairs.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { forEachConcurrent } from './rate-limit.ts';

/** A pair whose image still lies in a folder of the source, `root`, at `file` (a path inside it). Roots are only read. */
export type Candidate = Omit<Pair, 'image'> & { readonly root: string; readonly file: string };

export interface CollectHooks {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** All files below a folder, as paths inside it with forward slashes, sorted. Links are not followed: they may lead outside. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter(entry => entry.isFile()).map(entry => posix.join(...join(entry.parentPath, entry.name).slice(folder.length + 1).split(sep))).sort();
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const bytes = Buffer.alloc(256);
    return bytes.subarray(0, (await file.read(bytes, 0, bytes.length, 0)).bytesRead);
  } finally {
    await file.close();
  }
}

/** A name for an image's file: the id where that is a plain word, else a digest of it. */
function fileName(id: string, ending: string): string {
  return `${/^[\w-][\w.-]{0,120}$/.test(id) ? id : createHash('sha256').update(id).digest('hex').slice(0, 32)}.${ending}`;
}

/** What a path in a table names inside the folder; undefined for what would leave it. */
function inside(file: string): string | undefined {
  const path = posix.normalize(file.replaceAll('\\', '/').trim());
  return path === '' || path === '.' || path.startsWith('/') || /^[A-Za-z]:/.test(path) || path.split('/').includes('..') ? undefined : path;
}

/**
 * Copies the candidates' images into `folder/images` (as clones where the file system can) and writes `pairs.jsonl` and
 * `report.json`. What has no image, an image twice under one id, a web page for an image: reported by id; the rest goes on.
 *
 * @param about goes into the report
 */
export async function collectPairs(
  folder: string,
  candidates: readonly Candidate[],
  leftOutAlready: readonly LeftOut[],
  about: Readonly<Record<string, unknown>>,
  hooks: CollectHooks = {},
): Promise<{ readonly pairs: readonly Pair[]; readonly leftOut: readonly LeftOut[] }> {
  await mkdir(join(folder, 'images'), { recursive: true });
  const first = new Map<string, number>();
  candidates.forEach(({ id }, index) => first.has(id) || first.set(id, index));
  const outcomes = new Array<Pair | LeftOut>(candidates.length);
  let done = 0;
  const settle = async (candidate: Candidate, index: number): Promise<Pair | LeftOut> => {
    const { root, file, ...row } = candidate;
    const without = (kind: string, reason: string): LeftOut => ({ id: row.id, kind, reason });
    if (first.get(row.id) !== index) return without('duplicate', 'the id is there twice; the first one counts');
    const path = inside(file);
    if (path === undefined) return without('path', `the image ${JSON.stringify(file)} would lie outside the folder`);
    const from = join(root, path);
    const found = await stat(from).catch(() => undefined);
    if (found === undefined || !found.isFile()) return without('absent', `there is no image ${path}`);
    if (found.size === 0) return without('broken', `${path} is empty`);
    const bytes = await beginningOf(from);
    const ending = imageEnding(bytes);
    if (ending === undefined) return without('broken', `${path} is ${/^\s*</.test(bytes.toString('latin1')) ? 'a web page or XML' : 'something else'}, not an image`);
    const image = `images/${fileName(row.id, ending)}`;
    await copyFile(from, join(folder, image), constants.COPYFILE_FICLONE);
    return { ...row, image };
  };
  await forEachConcurrent(candidates, 8, async (candidate, index) => {
    hooks.signal?.throwIfAborted();
    outcomes[index] = await settle(candidate, index);
    done += 1;
    if (done % 256 === 0) hooks.onProgress?.(done, candidates.length);
  });
  const pairs = outcomes.filter((outcome): outcome is Pair => 'image' in outcome);
  const leftOut = [...leftOutAlready, ...outcomes.filter((outcome): outcome is LeftOut => !('image' in outcome))];
  await writePairs(folder, pairs, leftOut, about);
  return { pairs, leftOut };
}
