import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonLines } from './pairs.ts';
import type { Split } from './splits.ts';

/** CLIP's normalisation, for values of 0 to 1 in RGB. */
export const clipMean = [0.48145466, 0.4578275, 0.40821073] as const;
export const clipStd = [0.26862954, 0.26130258, 0.27577711] as const;

export interface ImageRow {
  readonly id: string;
  readonly group: string;
  readonly split: Split;
  readonly licence: string;
  readonly modality: string;
  readonly source: string;
}

export interface Shard {
  readonly file: string;
  readonly count: number;
  readonly sha256: string;
}

export interface ImageIndex {
  readonly count: number;
  /** Pixels of a side. */
  readonly resolution: number;
  readonly channels: 3;
  /** What to subtract and divide by, of values 0 to 1, in RGB. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly shards: readonly Shard[];
}

export interface Images extends Omit<ImageIndex, 'shards'> {
  readonly rows: readonly ImageRow[];
  /**
   * Copies images into `out`, one after the other: `[indices, resolution, resolution, 3]` uint8.
   *
   * @throws RangeError for an index that is not there or an `out` of another size
   */
  read(indices: ArrayLike<number>, out: Uint8Array): void;
  close(): void;
}

const shardBytes = 64 * 1024 * 1024;
const bufferBytes = 4 * 1024 * 1024;

/** Takes images one after the other and writes them as shards, through a buffer of a few megabytes. */
export interface ShardWriter {
  add(pixels: Uint8Array, row: ImageRow): Promise<void>;
  /** Writes the index and rows; the writer cannot be used after it. */
  finish(): Promise<ImageIndex>;
  /** Closes the open file, when the work is given up. */
  abandon(): Promise<void>;
}

export function writeShards(folder: string, resolution: number, limitBytes = shardBytes): ShardWriter {
  const imageBytes = resolution * resolution * 3;
  const perShard = Math.max(1, Math.floor(limitBytes / imageBytes));
  const shards: Shard[] = [];
  const rows: ImageRow[] = [];
  let file: FileHandle | undefined;
  let digest = createHash('sha256');
  let count = 0;
  const buffer = Buffer.allocUnsafe(imageBytes * Math.max(1, Math.min(perShard, Math.floor(bufferBytes / imageBytes))));
  let filled = 0;
  const flush = async (): Promise<void> => {
    const bytes = buffer.subarray(0, filled);
    await file?.writeFile(bytes);
    digest.update(bytes);
    filled = 0;
  };
  const name = (): string => `images-${String(shards.length).padStart(4, '0')}.u8`;
  const endShard = async (): Promise<void> => {
    if (file === undefined) return;
    await flush();
    await file.close();
    file = undefined;
    shards.push({ file: name(), count, sha256: digest.digest('hex') });
    digest = createHash('sha256');
    count = 0;
  };
  return {
    async add(pixels, row) {
      if (pixels.length !== imageBytes) throw new RangeError(`${row.id} has ${pixels.length} bytes, not ${imageBytes}`);
      file ??= await open(join(folder, name()), 'w');
      buffer.set(pixels, filled);
      filled += imageBytes;
      if (filled === buffer.length) await flush();
      rows.push(row);
      count += 1;
      if (count === perShard) await endShard();
    },
    async finish() {
      await endShard();
      const index: ImageIndex = { count: rows.length, resolution, channels: 3, mean: clipMean, std: clipStd, shards };
      await writeJsonLines(join(folder, 'rows.jsonl'), rows);
      await writeFile(join(folder, 'images.json'), `${JSON.stringify(index, null, 1)}\n`);
      return index;
    },
    async abandon() {
      await file?.close();
      file = undefined;
    },
  };
}

async function readIndex(folder: string): Promise<ImageIndex> {
  const path = join(folder, 'images.json');
  const index = JSON.parse(await readFile(path, 'utf8')) as ImageIndex;
  const held = index.shards.reduce((sum, shard) => sum + shard.count, 0);
  if (index.channels !== 3 || held !== index.count) throw new Error(`${path}: the shards hold ${held} images, the index says ${index.count}`);
  return index;
}

/**
 * Opens the images of a folder made by `preprocess`. Pixels stay on disk and are read when asked for, so memory does not grow
 * with the set.
 *
 * @throws Error when a shard is missing or has another size than the index says
 */
export async function openImages(folder: string): Promise<Images> {
  const { shards, ...index } = await readIndex(folder);
  const imageBytes = index.resolution * index.resolution * 3;
  const text = await readFile(join(folder, 'rows.jsonl'), 'utf8');
  const rows = text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as ImageRow);
  if (rows.length !== index.count) throw new Error(`${folder}: rows.jsonl has ${rows.length} rows for ${index.count} images`);
  const files: number[] = [];
  const close = (): void => files.splice(0).forEach(closeSync);
  const starts: number[] = [];
  let start = 0;
  for (const shard of shards) {
    const path = join(folder, shard.file);
    try {
      const file = openSync(path, 'r');
      files.push(file);
      const { size } = fstatSync(file);
      if (size !== shard.count * imageBytes) throw new Error(`${path} has ${size} bytes, not ${shard.count * imageBytes}`);
    } catch (error) {
      close();
      throw error;
    }
    starts.push(start);
    start += shard.count;
  }
  const shardOf = (image: number): number => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= image) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return {
    ...index,
    rows,
    read(indices, out) {
      if (out.length !== indices.length * imageBytes) {
        throw new RangeError(`${indices.length} images need ${indices.length * imageBytes} bytes, out has ${out.length}`);
      }
      for (let at = 0; at < indices.length; at += 1) {
        const image = indices[at] ?? -1;
        if (!Number.isInteger(image) || image < 0 || image >= index.count) throw new RangeError(`there is no image ${image}: there are ${index.count}`);
        const shard = shardOf(image);
        const file = files[shard];
        if (file === undefined) throw new Error('the images are closed');
        const got = readSync(file, out, at * imageBytes, imageBytes, (image - (starts[shard] ?? 0)) * imageBytes);
        if (got !== imageBytes) throw new Error(`image ${image} ends after ${got} bytes`);
      }
    },
    close,
  };
}

/** Hashes all shards; returns the names of those that differ from the index. */
export async function damagedShards(folder: string): Promise<string[]> {
  const damaged: string[] = [];
  for (const shard of (await readIndex(folder)).shards) {
    const digest = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, shard.file))) digest.update(chunk as Buffer);
    if (digest.digest('hex') !== shard.sha256) damaged.push(shard.file);
  }
  return damaged;
}
