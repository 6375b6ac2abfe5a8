import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeBmp } from '../../../src/study/data/bmp.ts';
import { jpegColours } from '../../../src/study/data/jpeg-profile.ts';
import { decodeSquare } from '../../../src/study/data/decode-image.ts';

const size = 16;
type Colour = readonly [number, number, number];
/** Four quarters: red and green above, blue and grey below. */
const quarters: readonly Colour[] = [[250, 20, 20], [20, 200, 20], [20, 20, 250], [130, 130, 130]];
const colourAt = (x: number, y: number, width: number, height: number): Colour => quarters[(y * 2 >= height ? 2 : 0) + (x * 2 >= width ? 1 : 0)] as Colour;
const picture = (width = size, height = size): ReturnType<typeof sharp> => {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) pixels.set(colourAt(x, y, width, height), (y * width + x) * 3);
  return sharp(pixels, { raw: { width, height, channels: 3 } });
};
/** Middles of the four quarters. */
const middles = (pixels: Uint8Array, side = size): number[][] => [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]].map(([x = 0, y = 0]) => [...pixels.subarray((Math.floor(y * side) * side + Math.floor(x * side)) * 3, (Math.floor(y * side) * side + Math.floor(x * side)) * 3 + 3)]);
function expectNear(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[], by: number): void {
  found.forEach((colour, at) => colour.forEach((value, channel) => expect(Math.abs(value - (wanted[at]?.[channel] ?? 0)), `quarter ${at}, channel ${channel}: ${value}`).toBeLessThanOrEqual(by)));
}

describe('orientation', () => {
  // Where the quarters of the stored picture are seen (EXIF 2.3, tag 0x0112).
  it.each([[1, [0, 1, 2, 3]], [2, [1, 0, 3, 2]], [3, [3, 2, 1, 0]], [4, [2, 3, 0, 1]], [5, [0, 2, 1, 3]], [6, [2, 0, 3, 1]], [7, [3, 1, 2, 0]], [8, [1, 3, 0, 2]]])('%i is turned and mirrored as EXIF says', async (orientation, order) => {
    const bytes = await picture().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).withMetadata({ orientation }).toBuffer();
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), order.map(at => quarters[at] as Colour), 8);
  });
});

describe('colour', () => {
  it('profiles are brought to sRGB', async () => {
    const bytes = await picture().withIccProfile('p3').png().toBuffer();
    const stored = await sharp(bytes).raw({ depth: 'uchar' }).toBuffer();
    expect((await sharp(bytes).metadata()).icc).toBeDefined();
    expect(stored.length).toBe(size * size * 3);
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), quarters, 4);
  });
  it.each([
    ['interlaced PNG', () => picture().png({ progressive: true })], ['progressive JPEG', () => picture().jpeg({ progressive: true, quality: 100, chromaSubsampling: '4:4:4' })], ['palette PNG', () => picture().png({ palette: true, colours: 8, dither: 0 })],
    ['GIF', () => picture().gif()], ['TIFF, LZW', () => picture().tiff({ compression: 'lzw' })], ['TIFF of 16 bits', () => picture().toColourspace('rgb16').tiff({ compression: 'lzw' })], ['lossless WebP', () => picture().webp({ lossless: true })], ['PNG of 16 bits', () => picture().toColourspace('rgb16').png()],
  ])('of %s is kept', async (_, make) => {
    expectNear(middles(await decodeSquare({ bytes: await make().toBuffer() }, size, 'pad')), quarters, 8);
  });
  it('half transparent is half as bright, over black', async () => {
    const bytes = await picture().ensureAlpha(0.5).png().toBuffer();
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), quarters.map(colour => colour.map(value => value / 2)), 3);
  });
  it('of grey with transparency is grey over black', async () => {
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 200, g: 200, b: 200, alpha: 0.5 } } }).toColourspace('b-w').png().toBuffer();
    expect((await sharp(bytes).metadata()).channels).toBe(2);
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), Array.from({ length: 4 }, () => [100, 100, 100]), 2);
  });
});

describe('profiles in JPEG files', () => {
  const best = { quality: 100, chromaSubsampling: '4:4:4' };
  /** A grey profile of one exponent (ICC.1:2022, 8.5.2 and 10.6). */
  function greyProfile(gamma: number): Buffer {
    const tag = (type: string, ...numbers: number[]): Buffer => {
      const data = Buffer.alloc(8 + numbers.length * 4);
      data.write(type, 'latin1');
      numbers.forEach((value, at) => data.writeInt32BE(value, 8 + at * 4));
      return data;
    };
    const tags: [string, Buffer][] = [['wtpt', tag('XYZ ', 0xf6d6, 0x10000, 0xd32d)], ['kTRC', tag('curv', 1, Math.round(gamma * 256) << 16)]];
    const head = Buffer.alloc(128 + 4 + tags.length * 12);
    head.writeUInt32BE(0x02400000, 8);
    head.write('mntrGRAYXYZ ', 12, 'latin1');
    head.write('acsp', 36, 'latin1');
    [0xf6d6, 0x10000, 0xd32d].forEach((value, at) => head.writeInt32BE(value, 68 + at * 4));
    head.writeUInt32BE(tags.length, 128);
    let offset = head.length;
    tags.forEach(([name, data], at) => {
      head.write(name, 132 + at * 12, 'latin1');
      head.writeUInt32BE(offset, 136 + at * 12);
      head.writeUInt32BE(data.length, 140 + at * 12);
      offset += data.length;
    });
    head.writeUInt32BE(offset, 0);
    return Buffer.concat([head, ...tags.map(([, data]) => data)]);
  }
  /** The file with a profile behind its first marker, cut into pieces of at most so many bytes. */
  function embedded(jpeg: Buffer, profile: Buffer, piece = 60_000, first = 1): Buffer {
    const count = Math.ceil(profile.length / piece);
    const segments = Array.from({ length: count }, (_, index) => {
      const body = Buffer.concat([Buffer.from('ICC_PROFILE\0', 'latin1'), Buffer.from([first + index, count]), profile.subarray(index * piece, (index + 1) * piece)]);
      return Buffer.concat([Buffer.from([0xff, 0xe2, (body.length + 2) >> 8, (body.length + 2) & 255]), body]);
    });
    return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
  }
  const grey = (value: number): Promise<Buffer> => sharp(Buffer.alloc(size * size, value), { raw: { width: size, height: size, channels: 1 } }).toColourspace('b-w').jpeg(best).toBuffer();

  it('of wide colours are brought to sRGB', async () => {
    const bytes = await picture().withIccProfile('p3').jpeg(best).toBuffer();
    const stored = await decodeSquare({ bytes: await sharp(bytes, { ignoreIcc: true }).jpeg(best).toBuffer() }, size, 'pad');
    expect(Math.abs((middles(stored)[0]?.[0] ?? 0) - 250)).toBeGreaterThan(15);
    const direct = await sharp(bytes).raw({ depth: 'uchar' }).toBuffer();
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), middles(direct), 10);
    const dull = await sharp(Buffer.from([180, 120, 90, 90, 110, 140]), { raw: { width: 2, height: 1, channels: 3 } }).resize(size, size, { kernel: 'nearest', fit: 'fill' }).withIccProfile('p3').jpeg(best).toBuffer();
    expectNear(middles(await decodeSquare({ bytes: dull }, size, 'pad')), [[180, 120, 90], [90, 110, 140], [180, 120, 90], [90, 110, 140]], 3);
  });
  it.each([60_000, 50])('of grey are brought to sRGB, in pieces of %i bytes', async (piece) => {
    const bytes = embedded(await grey(128), greyProfile(1), piece);
    // As sRGB writes light (IEC 61966-2-1): (1.055 · (128/255)^(1/2.4) − 0.055) · 255.
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), Array.from({ length: 4 }, () => [188, 188, 188]), 1);
  });
  it('that change nothing leave the same bytes as without', async () => {
    const bytes = await picture().jpeg(best).toBuffer();
    const tagged = await picture().withIccProfile('srgb').jpeg(best).toBuffer();
    expect(jpegColours(tagged)?.channels).toBe(3);
    expect(await decodeSquare({ bytes: tagged }, size, 'pad')).toEqual(await decodeSquare({ bytes }, size, 'pad'));
  });
  it('that are none, or lack their first piece, are passed over', async () => {
    const bytes = await grey(128);
    for (const broken of [embedded(bytes, Buffer.from('no profile, but of some length '.repeat(9))), embedded(bytes, greyProfile(1), 60_000, 2)]) {
      expectNear(middles(await decodeSquare({ bytes: broken }, size, 'pad')), Array.from({ length: 4 }, () => [128, 128, 128]), 1);
    }
    expect(jpegColours(embedded(bytes, greyProfile(1), 60_000, 2))).toBeNull();
  });
  it('of CMYK stay with the decoder', async () => {
    const bytes = await picture().toColourspace('cmyk').withIccProfile('cmyk').jpeg(best).toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('cmyk');
    expect(jpegColours(bytes)).toBeNull();
    expectNear(middles(await decodeSquare({ bytes }, size, 'pad')), middles(await sharp(bytes).toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer()), 1);
  });
});

describe('what cannot be decoded', () => {
  const noise = sharp(Buffer.from(Array.from({ length: 96 * 96 * 3 }, (_, at) => (at * 7919) >> 3)), { raw: { width: 96, height: 96, channels: 3 } });
  it.each([['jpeg', () => noise.clone().jpeg()], ['png', () => noise.clone().png()], ['gif', () => noise.clone().gif()], ['webp', () => noise.clone().webp()], ['tiff', () => noise.clone().tiff()]])('is refused: %s that is cut off', async (_, make) => {
    const bytes = await make().toBuffer();
    await expect(decodeSquare({ bytes: bytes.subarray(0, Math.floor(bytes.length * 0.6)) }, size, 'pad')).rejects.toThrow();
  });
  it('is refused before anything is set aside: a picture that claims 50,000 × 50,000 pixels', async () => {
    const png = await picture().png().toBuffer();
    png.writeUInt32BE(50_000, 16);
    png.writeUInt32BE(50_000, 20);
    await expect(decodeSquare({ bytes: png }, size, 'pad')).rejects.toThrow(/pixel limit|corrupt|invalid|crc/i);
  });
});

describe('BMP', () => {
  interface Form { readonly depth: number; readonly topDown?: boolean; readonly masks?: readonly number[]; readonly os2?: boolean; readonly compression?: number }
  const width = 11; // rows that need padding
  const height = 10;
  function bmp({ depth, topDown = false, masks = [], os2 = false, compression = masks.length > 0 ? 3 : 0 }: Form): Buffer {
    const palette = depth <= 8 ? quarters.slice(0, 2 ** depth) : [];
    const stride = Math.ceil((width * depth) / 32) * 4;
    const head = os2 ? 12 : 40;
    const start = 14 + head + masks.length * 4 + palette.length * (os2 ? 3 : 4);
    const file = Buffer.alloc(start + stride * height);
    file.write('BM', 'latin1');
    file.writeUInt32LE(file.length, 2);
    file.writeUInt32LE(start, 10);
    file.writeUInt32LE(head, 14);
    if (os2) [width, height, 1, depth].forEach((value, at) => file.writeUInt16LE(value, 18 + at * 2));
    else {
      file.writeInt32LE(width, 18);
      file.writeInt32LE(topDown ? -height : height, 22);
      file.writeUInt16LE(1, 26);
      file.writeUInt16LE(depth, 28);
      file.writeUInt32LE(compression, 30);
      file.writeUInt32LE(palette.length, 46);
    }
    masks.forEach((mask, at) => file.writeUInt32LE(mask, 54 + at * 4));
    palette.forEach((colour, at) => colour.toReversed().forEach((value, channel) => (file[14 + head + at * (os2 ? 3 : 4) + channel] = value)));
    const used = masks.length > 0 ? masks : [0x7c00, 0x3e0, 0x1f];
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const line = start + (topDown ? y : height - 1 - y) * stride;
        const colour = colourAt(x, y, width, height);
        if (depth <= 8) {
          const at = line + ((x * depth) >> 3);
          file[at] = (file[at] ?? 0) | (quarters.indexOf(colour) % palette.length << (8 - depth - ((x * depth) & 7)));
        } else if (depth === 16 || masks.length > 0) {
          const pixel = used.reduce((sum, mask, channel) => {
            const shift = 31 - Math.clz32(mask & -mask);
            return sum + Math.round(((colour[channel] ?? 0) * (mask >>> shift)) / 255) * 2 ** shift;
          }, 0);
          if (depth === 16) file.writeUInt16LE(pixel, line + x * 2);
          else file.writeUInt32LE(pixel, line + x * 4);
        } else colour.toReversed().forEach((value, channel) => (file[line + (x * depth) / 8 + channel] = value));
      }
    }
    return file;
  }
  it.each<[string, Form, number]>([
    ['24 bits', { depth: 24 }, 0], ['24 bits from the top', { depth: 24, topDown: true }, 0], ['32 bits', { depth: 32 }, 0], ['32 bits with masks', { depth: 32, masks: [0xff, 0xff00, 0xff0000] }, 0], ['masks above the sign bit', { depth: 32, masks: [0xff000000, 0xff0000, 0xff00] }, 0],
    ['16 bits', { depth: 16 }, 5], ['16 bits with masks', { depth: 16, masks: [0xf800, 0x7e0, 0x1f] }, 5], ['8 bits', { depth: 8 }, 0], ['4 bits', { depth: 4 }, 0], ['OS/2, 8 bits', { depth: 8, os2: true }, 0], ['OS/2, 24 bits', { depth: 24, os2: true }, 0],
  ])('of %s is decoded', async (_, form, by) => {
    const { raw, ...shape } = decodeBmp(bmp(form), 1e6);
    expect(shape).toEqual({ width, height, channels: 3 });
    for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) expectNear([[...raw.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)]], [colourAt(x, y, width, height)], by);
    expectNear(middles(await decodeSquare({ bytes: bmp(form) }, size, 'squeeze')), quarters, by + 3);
  });
  it('of 1 bit has its two colours', () => {
    const { raw } = decodeBmp(bmp({ depth: 1 }), 1e6);
    expect([[...raw.subarray(0, 3)], [...raw.subarray(30, 33)]]).toEqual([quarters[0], quarters[1]]);
  });
  it.each<[string, Buffer, RegExp]>([
    ['cut off', bmp({ depth: 24 }).subarray(0, 200), /cut off: it holds 200 bytes of 414/], ['run-length', bmp({ depth: 8, compression: 1 }), /run-length compression is not read/], ['a JPEG inside', bmp({ depth: 24, compression: 4 }), /JPEG compression/], ['a header alone', bmp({ depth: 24 }).subarray(0, 20), /ends in its header/],
    ['2 bits', ((file: Buffer) => (file.writeUInt16LE(2, 28), file))(bmp({ depth: 24 })), /2 bits a pixel/], ['too large', ((file: Buffer) => (file.writeInt32LE(60_000, 18), file))(bmp({ depth: 24 })), /claims 60000 × 10 pixels/],
    ['a colour beyond its palette', ((file: Buffer) => (file.writeUInt32LE(2, 46), file))(bmp({ depth: 8 })), /uses colour \d+ of 2/],
  ])('that is %s is refused', (_, file, message) => expect(() => decodeBmp(file, 500_000)).toThrow(message));
});
