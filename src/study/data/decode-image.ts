import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { decodeBmp, isBmp } from './bmp.ts';
import { applyTable, colourTable } from './colour-table.ts';
import { decodeDicom } from './dicom.ts';
import { isDicom } from './image-type.ts';
import { decodeWithProfile } from './jpeg-decoder.ts';
import type { JpegSquare } from './jpeg-decoder.ts';
import { jpegColours } from './jpeg-profile.ts';
import type { JpegColours } from './jpeg-profile.ts';
import { startJpegThreads } from './jpeg-threads.ts';
import type { JpegThreads } from './jpeg-threads.ts';

/** How an image becomes a square: cut, between black bars, or (for comparing, not for looking at) with another aspect ratio. */
export type Fit = 'crop' | 'pad' | 'squeeze';

const sharpFit = { crop: 'cover', pad: 'contain', squeeze: 'fill' } as const;

/** An image as a file's path or bytes, or as raw pixels. */
export type ImageSource = { readonly file: string } | LoadedImage;
export type LoadedImage = { readonly bytes: Uint8Array } | RawImage;
interface RawImage {
  readonly raw: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** Files that claim more pixels than this are refused before anything is unpacked. */
const mostPixels = 120_000_000;

/**
 * Decodes an image into a square of RGB: turned as EXIF says, colour profile and CMYK brought to sRGB, 16 bits scaled to 8,
 * transparency over black (air is black in radiology), resized by bicubic interpolation as CLIP does. Most JPEG files are decoded by
 * decodeJpeg, all else and what is unusual or damaged by sharp.
 *
 * @param fit `crop` fills the square and cuts what stands over in the middle, `pad` keeps all and fills with black, `squeeze` keeps all and fills
 * @returns `[resolution × resolution × 3]` bytes, rows first. DICOM files are shown by their own window first
 *
 * @throws Error when the file is missing, empty, cut off, damaged, too large or no image
 */
export async function decodeSquare(source: ImageSource, resolution: number, fit: Fit): Promise<Uint8Array> {
  if ('raw' in source) return squareOf(source, resolution, fit, false);
  if ('file' in source && threads === null) return decodeSquare({ bytes: await readImage(source.file) }, resolution, fit);
  const { pixels, colours } = await jpegSquare('file' in source ? source.file : source.bytes, resolution, fit);
  if (pixels !== null) return inColour(pixels, colours);
  return decodeElsehow('file' in source ? await readImage(source.file) : source.bytes, resolution, fit);
}

/** What is no JPEG file, or an unusual or damaged one. */
async function decodeElsehow(bytes: Uint8Array, resolution: number, fit: Fit): Promise<Uint8Array> {
  if (isDicom(bytes)) return squareOf(await decodeDicom(bytes), resolution, fit, false);
  if (isBmp(bytes)) return squareOf(decodeBmp(bytes, mostPixels), resolution, fit, false);
  const colours = jpegColours(bytes);
  return inColour(await squareOf({ bytes }, resolution, fit, colours !== null), colours);
}

async function inColour(pixels: Uint8Array, colours: JpegColours | null): Promise<Uint8Array> {
  const table = colours === null ? null : await colourTable(colours);
  if (table !== null) applyTable(table, pixels);
  return pixels;
}

/** @throws Error when the file is missing or empty */
export async function readImage(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  if (bytes.length === 0) throw new Error('the file is empty');
  return bytes;
}

/** In the threads that setDecodeThreads started, or at once. */
async function jpegSquare(source: Uint8Array | string, resolution: number, fit: Fit): Promise<JpegSquare> {
  return threads === null ? decodeWithProfile(typeof source === 'string' ? await readImage(source) : source, resolution, fit) : threads.decode(source, resolution, fit);
}

/** The square, its colours brought to sRGB unless `asStored`. */
async function squareOf(source: LoadedImage, resolution: number, fit: Fit, asStored: boolean): Promise<Buffer> {
  const input = 'raw' in source
    ? sharp(source.raw, { raw: { width: source.width, height: source.height, channels: source.channels } })
    : sharp(source.bytes, { failOn: 'error', limitInputPixels: mostPixels, pages: 1, ignoreIcc: asStored });
  const { data, info } = await input
    .autoOrient()
    .flatten({ background: '#000000' })
    .resize(resolution, resolution, { fit: sharpFit[fit], position: 'centre', background: '#000000', kernel: 'cubic' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels === 3) return data;
  if (info.channels !== 1 && info.channels !== 2) throw new Error(`decoded to ${info.channels} channels`);
  return greyToColour(data, info.channels);
}

/** Repeats grey in red, green and blue; a second channel (alpha) is dropped. */
export function greyToColour(grey: Uint8Array, channels: 1 | 2 = 1): Buffer {
  const out = Buffer.allocUnsafe((grey.length / channels) * 3);
  for (let from = 0, to = 0; to < out.length; from += channels, to += 3) {
    const value = grey[from] as number;
    out[to] = value;
    out[to + 1] = value;
    out[to + 2] = value;
  }
  return out;
}

let threads: JpegThreads | null = null;

/**
 * Lets so many images together use the cores given, until the function that it returns is called.
 *
 * @param program the module of a thread for JPEG files; from TypeScript sources there is none that every Node could run, and they are
 * decoded by the thread that asks
 */
export function setDecodeThreads(cores: number, atOnce: number, program = new URL('./jpeg-thread.ts', import.meta.url)): () => Promise<void> {
  sharp.concurrency(Math.max(1, Math.floor(cores / atOnce)));
  sharp.cache(false);
  if (cores < 2 || program.pathname.endsWith('.ts') || threads !== null) return async () => {};
  const started = startJpegThreads(cores, program);
  threads = started;
  return async () => {
    threads = null;
    await started.close();
  };
}
