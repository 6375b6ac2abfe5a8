import { constants } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { openPairImages } from './pair-images.ts';
import { readPairs, writeJsonLines } from './pairs.ts';
import { drawIds } from './random.ts';
import { forEachConcurrent } from './rate-limit.ts';

export interface ExportHooks {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Writes pairs as a plain folder, `images/` and `captions.jsonl`, which other programs read and `load-folder` too. Files are
 * copied as they are, drawn pixels become PNG.
 *
 * @param limit at most so many pairs, drawn with `seed`, in their order; null for all
 * @returns how many were written
 */
export async function exportPairs(folder: string, to: string, limit: number | null, seed: number, hooks: ExportHooks = {}): Promise<number> {
  const all = await readPairs(folder);
  const chosen = limit === null ? undefined : drawIds(all.map(pair => pair.id), limit, 'export', seed);
  const pairs = chosen === undefined ? all : all.filter(pair => chosen.has(pair.id));
  const names = pairs.map(({ image }, index) => `images/${String(index).padStart(6, '0')}${typeof image === 'string' ? extname(image) : '.png'}`);
  await mkdir(join(to, 'images'));
  const images = openPairImages(folder);
  let done = 0;
  try {
    await forEachConcurrent(pairs, 8, async ({ image }, index) => {
      hooks.signal?.throwIfAborted();
      const path = join(to, names[index] ?? '');
      if (typeof image === 'string') await copyFile(join(folder, image), path, constants.COPYFILE_FICLONE);
      else {
        const source = await images.read(image);
        if (!('raw' in source)) throw new Error(`${image.file} holds no pixels`);
        await sharp(source.raw, { raw: { width: source.width, height: source.height, channels: source.channels } }).png().toFile(path);
      }
      done += 1;
      if (done % 256 === 0) hooks.onProgress?.(done, pairs.length);
    });
  } finally {
    await images.close();
  }
  await writeJsonLines(join(to, 'captions.jsonl'), pairs.map(({ id, caption, group, split, licence, modality, concepts }, index) => ({ image: names[index], id, caption, group, split, licence, modality, concepts })));
  return pairs.length;
}
