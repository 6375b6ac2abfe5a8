import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setDecodeThreads } from './decode-image.ts';
import type { Fit } from './decode-image.ts';
import { writeShards } from './image-shards.ts';
import { readGroups, readLeftOut } from './left-out.ts';
import { decodersAtOnce, imageProblem, isMachineFault, openPairImages } from './pair-images.ts';
import { countBy, readPairs, writeJsonLines } from './pairs.ts';
import type { LeftOut } from './pairs.ts';
import { selectPairs } from './select.ts';
import type { Selected, SelectOptions } from './select.ts';

export interface PreprocessOptions extends SelectOptions {
  /** Pixels of a side. */
  readonly resolution: number;
  readonly fit: Fit;
}

export interface PreprocessPaths {
  /** A folder with `pairs.jsonl`. */
  readonly pairs: string;
  /** Rows to leave out and groups to join, as `filter` and `find-leaks` write them. */
  readonly dropped?: string | undefined;
  readonly groups?: string | undefined;
  /** A folder for shards, index, rows and `report.json`. */
  readonly images: string;
  /** A file: JSON Lines of `{ id, caption, split, group }` in the order of the images. */
  readonly captions: string;
}

export interface PreprocessHooks {
  readonly cores?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PreprocessSummary {
  readonly images: number;
  readonly broken: number;
  /** Counts by name, for a metrics file: per split, modality, reason. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Decodes the selected pairs into shards, in their order, several at once. An image that does not decode is left out and
 * reported by id; the rest goes on. Memory is bounded by the number decoded at once.
 *
 * @throws Error when nothing is left to work on, or every image is broken
 */
export async function preprocess(paths: PreprocessPaths, options: PreprocessOptions, hooks: PreprocessHooks = {}): Promise<PreprocessSummary> {
  const pairs = await readPairs(paths.pairs);
  const selection = selectPairs(pairs, options, {
    ...(paths.dropped === undefined ? {} : { dropped: await readLeftOut(paths.dropped) }),
    ...(paths.groups === undefined ? {} : { groups: await readGroups(paths.groups) }),
  });
  if (selection.rows.length === 0) throw new Error(`none of the ${pairs.length} pairs is left: ${selection.leftOut[0]?.reason ?? 'the source has none'}`);
  const { resolution, fit } = options;
  const cores = Math.max(1, Math.floor(hooks.cores ?? 1));
  setDecodeThreads(cores, decodersAtOnce(cores));
  const ahead = cores * 2;
  const images = openPairImages(paths.pairs);
  const writer = writeShards(paths.images, resolution);
  const leftOut: LeftOut[] = [...selection.leftOut];
  const kept: Selected[] = [];
  let broken = 0;
  const decode = (row: Selected): Promise<Uint8Array | { error: unknown }> =>
    images.decode(row.image, resolution, fit).catch((error: unknown) => ({ error }));
  const running: ReturnType<typeof decode>[] = [];
  try {
    for (const [index, row] of selection.rows.entries()) {
      hooks.signal?.throwIfAborted();
      while (running.length < ahead && index + running.length < selection.rows.length) {
        const next = selection.rows[index + running.length];
        if (next !== undefined) running.push(decode(next));
      }
      const pixels = await running.shift();
      if (pixels === undefined) break;
      if (pixels instanceof Uint8Array) {
        const { id, group, split, licence, modality, source } = row;
        await writer.add(pixels, { id, group, split, licence, modality, source });
        kept.push(row);
      } else {
        if (isMachineFault(pixels.error)) throw pixels.error;
        broken += 1;
        leftOut.push({ id: row.id, kind: 'broken', reason: imageProblem(pixels.error) });
      }
      if (index % 64 === 63) hooks.onProgress?.(index + 1, selection.rows.length);
    }
    if (kept.length === 0) {
      const first = leftOut.find(row => row.kind === 'broken');
      throw new Error(`none of ${broken} images decodes; the first one, ${first?.id}: ${first?.reason}`);
    }
    await writer.finish();
  } catch (error) {
    await Promise.all(running);
    await writer.abandon();
    throw error;
  } finally {
    await images.close();
  }
  await writeJsonLines(paths.captions, kept.map(({ id, caption, split, group }) => ({ id, caption, split, group })));
  const by = {
    split: countBy(kept, row => row.split),
    modality: countBy(kept, row => row.modality),
    licence: countBy(kept, row => row.licence),
    source: countBy(kept, row => row.source),
    leftOut: countBy(leftOut, row => row.kind),
  };
  const groups = new Set(kept.map(row => row.group)).size;
  await writeFile(join(paths.images, 'report.json'), `${JSON.stringify({ pairs: pairs.length, images: kept.length, groups, ...by, leftOutRows: leftOut }, null, 1)}\n`);
  const named = (prefix: string, counts: Record<string, number>): [string, number][] => Object.entries(counts).map(([name, count]) => [`${prefix}${name.replace(/\W+/g, '_')}`, count]);
  const counts = { images: kept.length, groups, train: 0, validation: 0, test: 0, ...by.split, broken, left_out: leftOut.length };
  return {
    images: kept.length,
    broken,
    counts: { ...counts, ...Object.fromEntries([...named('left_out_', by.leftOut), ...named('modality_', by.modality), ...named('licence_', by.licence)]) },
  };
}
