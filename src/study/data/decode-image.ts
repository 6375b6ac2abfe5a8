import sharp from 'sharp';
import { decodeBmp, isBmp } from './bmp.ts';
import { applyTable, colourTable } from './colour-table.ts';
import { decodeDicom } from './dicom.ts';
import { isDicom } from './image-type.ts';
import { jpegColours } from './jpeg-profile.ts';

/** How an image becomes a square: cut, between black bars, or (for comparing, not for looking at) with another aspect ratio. */
export type Fit = 'crop' | 'pad' | 'squeeze';

const sharpFit = { crop: 'cover', pad: 'contain', squeeze: 'fill' } as const;

/** An image as bytes of a file, or as raw pixels. */
export type ImageSource =
  | { readonly bytes: Uint8Array }
  | { readonly raw: Uint8Array; readonly width: number; readonly height: number; readonly channels: 1 | 3 };

/** Files that claim more pixels than this are refused before anything is unpacked. */
const mostPixels = 120_000_000;

/**
 * Decodes an image into a square of RGB: turned as EXIF says, colour profile and CMYK brought to sRGB, 16 bits scaled to 8,
 * transparency over black (air is black in radiology), resized by bicubic interpolation as CLIP does.
 *
 * @param fit `crop` fills the square and cuts what stands over in the middle, `pad` keeps all and fills with black, `squeeze` keeps all and fills
 * @returns `[resolution × resolution × 3]` bytes, rows first. DICOM files are shown by their own window first
 *
 * @throws Error when the file is cut off, damaged, too large or no image
 */
export async function decodeSquare(source: ImageSource, resolution: number, fit: Fit): Promise<Buffer> {
  if ('bytes' in source && isDicom(source.bytes)) return decodeSquare(await decodeDicom(source.bytes), resolution, fit);
  if ('bytes' in source && isBmp(source.bytes)) return decodeSquare(decodeBmp(source.bytes, mostPixels), resolution, fit);
  const colours = 'bytes' in source ? jpegColours(source.bytes) : null;
  const pixels = await squareOf(source, resolution, fit, colours !== null);
  const table = colours === null ? null : await colourTable(colours);
  if (table !== null) applyTable(table, pixels);
  return pixels;
}

/** The square, its colours brought to sRGB unless `asStored`. */
async function squareOf(source: ImageSource, resolution: number, fit: Fit, asStored: boolean): Promise<Buffer> {
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

/** Threads that work on one image, so that `atOnce` images together use the cores given. */
export function setDecodeThreads(cores: number, atOnce: number): void {
  sharp.concurrency(Math.max(1, Math.floor(cores / atOnce)));
  sharp.cache(false);
}
