import { createHash } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { JpegColours } from './jpeg-profile.ts';

/** Steps of a side of the cube of colours that is worked out; between them the table is linear. */
const side = 33;
/** Profiles remembered; a cube takes 430 kB. */
const most = 64;

/**
 * What a colour profile makes of a pixel, in sRGB: of each grey `[256 × 3]`, or of the colours at the corners of a cube
 * `[33 × 33 × 33 × 3]`, blue fastest. Null where it changes none of them by more than one level.
 */
export type ColourTable = { readonly channels: 1 | 3; readonly values: Float32Array } | null;

const known = new Map<string, Promise<ColourTable>>();

/**
 * The table of a profile, worked out once by the library that would otherwise set itself up anew for every file, which
 * takes longer than decoding one.
 */
export function colourTable({ channels, profile }: JpegColours): Promise<ColourTable> {
  const key = `${channels} ${createHash('sha256').update(profile).digest('hex')}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = makeTable(channels, profile);
  if (known.size >= most) known.delete(known.keys().next().value as string);
  known.set(key, made);
  made.catch(() => known.delete(key));
  return made;
}

async function makeTable(channels: 1 | 3, profile: Buffer): Promise<ColourTable> {
  const pixels = channels === 1 ? Buffer.from(Array.from({ length: 256 }, (_, grey) => grey)) : cube();
  const [width, height] = channels === 1 ? [256, 1] : [side, side * side];
  const plain = await sharp(pixels, { raw: { width, height, channels } }).toColourspace(channels === 1 ? 'b-w' : 'srgb').png({ compressionLevel: 0 }).toBuffer();
  const { data, info } = await sharp(withProfile(plain, profile), { failOn: 'error' }).toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const value = (pixel: number, channel: number): number => data[pixel * info.channels + (info.channels < 3 ? 0 : channel)] ?? 0;
  const values = Float32Array.from({ length: width * height * 3 }, (_, at) => value(Math.floor(at / 3), at % 3));
  const same = values.every((after, at) => Math.abs(after - (pixels[channels === 1 ? Math.floor(at / 3) : at] ?? 0)) <= 1);
  return same ? null : { channels, values };
}

/** Every corner of the cube, blue fastest. */
function cube(): Buffer {
  const level = (index: number): number => Math.round((255 * index) / (side - 1));
  const corners = Array.from({ length: side ** 3 }, (_, at) => [Math.floor(at / side ** 2), Math.floor(at / side) % side, at % side].map(level));
  return Buffer.from(corners.flat());
}

/** A PNG file with a profile put behind its header (PNG specification, 11.3.2.3). */
function withProfile(png: Buffer, profile: Buffer): Buffer {
  const end = 8 + 25;
  const body = Buffer.concat([Buffer.from('iCCPprofile\0\0', 'latin1'), deflateSync(profile)]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length - 4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([png.subarray(0, end), length, body, check, png.subarray(end)]);
}

/** Pixels `[n × 3]` in sRGB, in place, of what the profile's own are. */
export function applyTable(table: NonNullable<ColourTable>, pixels: Uint8Array): void {
  if (table.channels === 1) applyGrey(table.values, pixels);
  else applyCube(table.values, pixels);
}

function applyGrey(values: Float32Array, pixels: Uint8Array): void {
  for (let at = 0; at < pixels.length; at += 3) {
    const from = (pixels[at] as number) * 3;
    pixels[at] = values[from] as number;
    pixels[at + 1] = values[from + 1] as number;
    pixels[at + 2] = values[from + 2] as number;
  }
}

/** Linear between the eight corners around each colour. */
function applyCube(values: Float32Array, pixels: Uint8Array): void {
  const place = (side - 1) / 255;
  const [overRed, overGreen] = [side * side * 3, side * 3];
  for (let at = 0; at < pixels.length; at += 3) {
    const [r, g, b] = [(pixels[at] as number) * place, (pixels[at + 1] as number) * place, (pixels[at + 2] as number) * place];
    const [r0, g0, b0] = [Math.min(side - 2, Math.floor(r)), Math.min(side - 2, Math.floor(g)), Math.min(side - 2, Math.floor(b))];
    const [fr, fg, fb] = [r - r0, g - g0, b - b0];
    const corner = r0 * overRed + g0 * overGreen + b0 * 3;
    for (let channel = 0; channel < 3; channel += 1) {
      const from = corner + channel;
      const alongBlue = (start: number): number => (values[start] as number) * (1 - fb) + (values[start + 3] as number) * fb;
      const low = alongBlue(from) * (1 - fg) + alongBlue(from + overGreen) * fg;
      const high = alongBlue(from + overRed) * (1 - fg) + alongBlue(from + overRed + overGreen) * fg;
      pixels[at + channel] = Math.round(low * (1 - fr) + high * fr);
    }
  }
}
