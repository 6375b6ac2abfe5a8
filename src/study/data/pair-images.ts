import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeSquare, greyToColour } from './decode-image.ts';
import type { Fit, ImageSource } from './decode-image.ts';
import type { Pair } from './pairs.ts';

/** Reads the images of a folder of pairs, wherever they lie in it: files of their own, or raw pixels in a large one. */
export interface PairImages {
  /** @throws Error when the file is missing, empty or ends too early */
  read(image: Pair['image']): Promise<ImageSource>;
  /** `[resolution × resolution × 3]` bytes; drawn pixels of that size are taken as they are. @throws as read and decodeSquare */
  decode(image: Pair['image'], resolution: number, fit: Fit): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Opens each raw file once. */
export function openPairImages(folder: string): PairImages {
  const files = new Map<string, Promise<FileHandle>>();
  const read = async (image: Pair['image']): Promise<ImageSource> => {
    if (typeof image === 'string') {
      const bytes = await readFile(join(folder, image));
      if (bytes.length === 0) throw new Error('the file is empty');
      return { bytes };
    }
    const { file, offset, width, height, channels } = image;
    if (!files.has(file)) files.set(file, open(join(folder, file), 'r'));
    const handle = await files.get(file);
    const wanted = width * height * channels;
    const raw = Buffer.allocUnsafe(wanted);
    const got = (await handle?.read(raw, 0, wanted, offset))?.bytesRead;
    if (got !== wanted) throw new Error(`${file} ends inside the image at ${offset}`);
    return { raw, width, height, channels };
  };
  return {
    read,
    async decode(image, resolution, fit) {
      const source = await read(image);
      if (!('raw' in source) || source.width !== resolution || source.height !== resolution) return decodeSquare(source, resolution, fit);
      return source.channels === 3 ? source.raw : greyToColour(source.raw);
    },
    async close() {
      for (const handle of files.values()) await handle.then(opened => opened.close(), () => undefined);
    },
  };
}

/** Why an image could not be had, in a line. */
export function imageProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' ? 'the file is missing' : text.replace(/\s+/g, ' ').trim();
}

/** A full disk or exhausted memory is no fault of an image, and must not be taken for one. */
export function isMachineFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EIO', 'ERR_MEMORY_ALLOCATION_FAILED'].includes(code);
}

/** How many images to decode at once on so many cores; decoders beyond libuv's pool would only wait. */
export const decodersAtOnce = (cores: number): number => Math.min(cores, Number(process.env['UV_THREADPOOL_SIZE'] ?? 4));
