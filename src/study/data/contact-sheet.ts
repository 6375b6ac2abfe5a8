import sharp from 'sharp';
import { greyToColour } from './decode-image.ts';
import { modalityOf } from './modality.ts';
import { imageProblem, isMachineFault, openPairImages } from './pair-images.ts';
import type { Pair } from './pairs.ts';
import { drawable, glyphHeight, glyphWidth, isInk } from './pixel-font.ts';
import { drawIds } from './random.ts';

type Colour = readonly [red: number, green: number, blue: number];

export interface SheetOptions {
  /** How many pairs to show, drawn with `seed`; all where there are fewer. */
  readonly count: number;
  readonly columns: number;
  /** Pixels of a tile's side. */
  readonly tile: number;
  /** Lines of caption below a tile; the last one ends in "..." where there is more. */
  readonly lines: number;
  readonly seed: number;
}

const gap = 12;
const paper: Colour = [255, 255, 255];
const ink: Colour = [24, 28, 36];
const faint: Colour = [110, 118, 132];
const red: Colour = [176, 32, 32];

/** Cuts text into lines of at most `width` characters, between words where it can. */
export function wrapText(text: string, width: number, most: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const whole of drawable(text).trim().split(' ')) {
    for (let word = whole; word !== '';) {
      const part = word.slice(0, width);
      if (line !== '' && line.length + 1 + word.length <= width) [line, word] = [`${line} ${word}`, ''];
      else if (line === '') [line, word] = [part, word.slice(width)];
      else {
        lines.push(line);
        line = '';
      }
    }
  }
  if (line !== '') lines.push(line);
  return lines.length <= most ? lines : [...lines.slice(0, most - 1), `${(lines[most - 1] ?? '').slice(0, width - 3)}...`];
}

/**
 * Draws a sheet of pairs with their ids, modalities and captions. An image that does not decode is a tile that says so.
 *
 * @param folder of the pairs
 * @returns a PNG file's bytes, the same for the same pairs on every machine
 */
export async function contactSheet(folder: string, pairs: readonly Pair[], { count, columns, tile, lines, seed }: SheetOptions, signal?: AbortSignal): Promise<Buffer> {
  const chosen = drawIds(pairs.map(pair => pair.id), count, 'sheet', seed);
  const shown = pairs.filter(pair => chosen.has(pair.id));
  const wide = Math.max(1, Math.min(columns, shown.length));
  const high = Math.max(1, Math.ceil(shown.length / wide));
  const cell = { width: tile + gap, height: tile + glyphHeight * (lines + 1) + gap + 4 };
  const [width, height] = [wide * cell.width + gap, high * cell.height + gap];
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < pixels.length; at += 3) pixels.set(paper, at);
  const write = (text: string, left: number, top: number, colour: Colour): void => {
    for (const [index, character] of [...text].entries()) {
      for (let y = 0; y < glyphHeight; y += 1) {
        for (let x = 0; x < glyphWidth; x += 1) if (isInk(character, x, y)) pixels.set(colour, ((top + y) * width + left + index * glyphWidth + x) * 3);
      }
    }
  };
  const letters = Math.floor(tile / glyphWidth);
  const images = openPairImages(folder);
  try {
    for (const [index, pair] of shown.entries()) {
      signal?.throwIfAborted();
      const left = gap + (index % wide) * cell.width;
      const top = gap + Math.floor(index / wide) * cell.height;
      const copy = (picture: Uint8Array): void => {
        for (let y = 0; y < tile; y += 1) pixels.set(picture.subarray(y * tile * 3, (y + 1) * tile * 3), ((top + y) * width + left) * 3);
      };
      try {
        copy(await images.decode(pair.image, tile, 'pad'));
      } catch (error) {
        if (isMachineFault(error)) throw error;
        copy(greyToColour(new Uint8Array(tile * tile).fill(236)));
        wrapText(`does not decode: ${imageProblem(error)}`, letters, 6).forEach((line, row) => write(line, left, top + 8 + row * glyphHeight, red));
      }
      const under = top + tile + 4;
      const modality = ` ${pair.modality ?? modalityOf(pair.caption, pair.concepts)}`;
      write(`${drawable(pair.id).slice(0, Math.max(4, letters - modality.length))}${modality}`.slice(0, letters), left, under, faint);
      wrapText(pair.caption, letters, lines).forEach((line, row) => write(line, left, under + (row + 1) * glyphHeight, ink));
    }
  } finally {
    await images.close();
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } }).png({ compressionLevel: 9 }).toBuffer();
}
