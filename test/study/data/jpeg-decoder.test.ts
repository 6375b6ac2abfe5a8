import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import sharp from 'sharp';
import type { JpegOptions } from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeSquare, setDecodeThreads } from '../../../src/study/data/decode-image.ts';
import { decodeJpeg } from '../../../src/study/data/jpeg-decoder.ts';
import { startJpegThreads } from '../../../src/study/data/jpeg-threads.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

/** A picture with slopes, edges and some noise, in colour or grey. */
function picture(width: number, height: number, grey = false): ReturnType<typeof sharp> {
  const random = randomOf(`${width} ${height}`);
  const channels = grey ? 1 : 3;
  const pixels = Buffer.alloc(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const light = 60 + (120 * x) / width + (Math.hypot(x - width / 2, y - height / 2) < Math.min(width, height) / 3 ? 50 : 0) + random.below(10);
      for (let channel = 0; channel < channels; channel += 1) pixels[(y * width + x) * channels + channel] = light - channel * ((30 * y) / height);
    }
  }
  const image = sharp(pixels, { raw: { width, height, channels } });
  return grey ? image.toColourspace('b-w') : image;
}

const mean = (a: Uint8Array, b: Uint8Array): number => a.reduce((sum, value, at) => sum + Math.abs(value - (b[at] ?? 0)), 0) / a.length;
const largest = (a: Uint8Array, b: Uint8Array): number => a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? 0))), 0);
const rgb = (bytes: Uint8Array): Promise<Buffer> => sharp(bytes).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true }).then(({ data, info }) => (info.channels === 3 ? data : Buffer.from([...data].flatMap(value => [value, value, value]))));

describe('a JPEG file of the square’s own size', () => {
  it.each<[string, boolean, JpegOptions]>([
    ['grey', true, {}], ['grey, progressive', true, { progressive: true }], ['4:4:4', false, { chromaSubsampling: '4:4:4' }], ['4:4:4, progressive', false, { chromaSubsampling: '4:4:4', progressive: true }],
    ['of best quality', false, { chromaSubsampling: '4:4:4', quality: 100 }], ['of codes made for it', false, { chromaSubsampling: '4:4:4', optimiseCoding: true, quality: 40 }], ['by trellis and many scans', false, { chromaSubsampling: '4:4:4', mozjpeg: true }],
  ])('has the pixels that libjpeg decodes: %s', async (_, grey, options) => {
    for (const side of [8, 17, 64]) {
      const bytes = await picture(side, side, grey).jpeg(options).toBuffer();
      const pixels = decodeJpeg(bytes, side, 'pad', false);
      expect(pixels).not.toBeNull();
      // Grey is exact; colours are rounded once there, and twice here.
      expect(largest(pixels as Uint8Array, await rgb(bytes))).toBeLessThanOrEqual(grey ? 0 : 2);
    }
  });
  it('has nearly those where its colours are stored at half the size, which this smooths otherwise', async () => {
    const bytes = await picture(96, 96).jpeg({ chromaSubsampling: '4:2:0', quality: 95 }).toBuffer();
    expect(mean(decodeJpeg(bytes, 96, 'pad', false) as Uint8Array, await rgb(bytes))).toBeLessThan(0.6);
  });
});

describe('a JPEG file brought down', () => {
  it.each<[string, boolean, JpegOptions]>([['grey', true, {}], ['4:2:0', false, {}], ['4:4:4, progressive', false, { chromaSubsampling: '4:4:4', progressive: true }]])('looks as the whole one resized does: %s', async (_, grey, options) => {
    for (const [width, height] of [[70, 66], [200, 131], [131, 200], [640, 400], [1100, 700]] as const) {
      const bytes = await picture(width, height, grey).jpeg({ quality: 92, ...options }).toBuffer();
      for (const [fit, name] of [['crop', 'cover'], ['pad', 'contain'], ['squeeze', 'fill']] as const) {
        const whole = await rgb(await sharp(await rgb(bytes), { raw: { width, height, channels: 3 } }).resize(64, 64, { fit: name, kernel: 'cubic', background: '#000000' }).png().toBuffer());
        expect(mean(decodeJpeg(bytes, 64, fit, false) as Uint8Array, whole), `${width} × ${height}, ${fit}`).toBeLessThan(1.5);
      }
    }
  });
  it('keeps an even grey, to the edges', async () => {
    const bytes = await sharp({ create: { width: 333, height: 250, channels: 3, background: '#505050' } }).jpeg({ quality: 95 }).toBuffer();
    for (const side of [9, 64, 100, 224, 400]) expect(new Set(decodeJpeg(bytes, side, 'crop', false)), `${side}`).toEqual(new Set([0x50]));
  });
});

describe('what is left to the other decoder', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['CMYK', () => picture(40, 40).toColourspace('cmyk').jpeg().toBuffer()], ['what is to be turned', () => picture(40, 40).jpeg().withMetadata({ orientation: 6 }).toBuffer()],
    ['a profile nobody sees to', () => picture(40, 40).withIccProfile('p3').jpeg().toBuffer()], ['PNG', () => picture(40, 40).png().toBuffer()],
    ['12 bits', async () => { const bytes = await picture(40, 40).jpeg().toBuffer(); bytes[bytes.indexOf(Buffer.from([0xff, 0xc0])) + 4] = 12; return bytes; }],
    ['colours that are RGB, as Adobe writes it', async () => Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xee, 0, 14]), Buffer.from('Adobe'), Buffer.from([0, 100, 0, 0, 0, 0, 0]), (await picture(40, 40).jpeg().toBuffer()).subarray(20)])],
  ])('is %s', async (_, make) => expect(decodeJpeg(await make(), 32, 'pad', false)).toBeNull());

  it.each([false, true])('is what is cut off anywhere; progressive: %s', async progressive => {
    const bytes = await picture(90, 70).jpeg({ progressive }).toBuffer();
    for (let end = 0; end < bytes.length - 1; end += 37) expect(decodeJpeg(bytes.subarray(0, end), 32, 'pad', false), `${end} bytes of ${bytes.length}`).toBeNull();
  });

  it('is decoded or refused, and the same whatever came before it: files with wrong bytes', async () => {
    const random = randomOf('wrong bytes');
    const files = await Promise.all([picture(90, 70).jpeg(), picture(90, 70).jpeg({ progressive: true }), picture(120, 50, true).jpeg()].map(image => image.toBuffer()));
    const broken = Array.from({ length: 200 }, (_, at) => {
      const bytes = Buffer.from(files[at % files.length] ?? []);
      for (let count = 0; count <= at % 3; count += 1) bytes[random.below(bytes.length)] = random.below(256);
      return bytes;
    });
    const first = broken.map(bytes => decodeJpeg(bytes, 32, 'crop', false));
    vi.resetModules();
    const anew = await import('../../../src/study/data/jpeg-decoder.ts');
    const second = broken.toReversed().map(bytes => anew.decodeJpeg(bytes, 32, 'crop', false)).toReversed();
    expect(first.filter(pixels => pixels === null).length).toBeGreaterThan(20);
    expect(first.filter(pixels => pixels !== null).length).toBeGreaterThan(20);
    expect(second).toEqual(first);
  });
});

describe('threads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jpeg-threads-'));
  const program = join(folder, 'jpeg-thread.mjs');
  beforeAll(async () => {
    await build({ entryPoints: [fileURLToPath(new URL('../../../src/study/data/jpeg-thread.ts', import.meta.url))], outfile: program, bundle: true, format: 'esm', platform: 'node' });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('decode the same bytes, by path and by content, and leave what is odd, missing or no image to the one that asks', async () => {
    const bytes = await picture(300, 200).withIccProfile('p3').jpeg().toBuffer();
    const turned = await picture(60, 40).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    const [path, odd, text] = ['a.jpg', 'b.jpg', 'c.jpg'].map(name => join(folder, name)) as [string, string, string];
    writeFileSync(path, bytes);
    writeFileSync(odd, turned);
    writeFileSync(text, '<html>');
    const alone = await decodeSquare({ bytes }, 64, 'crop');
    const end = setDecodeThreads(2, 2, pathToFileURL(program));
    try {
      const all = await Promise.all(Array.from({ length: 20 }, (_, at) => decodeSquare(at % 2 === 0 ? { bytes } : { file: path }, 64, 'crop')));
      for (const pixels of all) expect(pixels).toEqual(alone);
      expect(await decodeSquare({ file: odd }, 64, 'crop')).toEqual(await decodeSquare({ bytes: turned }, 64, 'crop'));
      await expect(decodeSquare({ file: join(folder, 'none.jpg') }, 64, 'crop')).rejects.toThrow('ENOENT');
      await expect(decodeSquare({ file: text }, 64, 'crop')).rejects.toThrow('unsupported image format');
    } finally {
      await end();
    }
  });

  it('that end or do not start fail what waits for them, as a fault of the machine', async () => {
    const broken = join(folder, 'broken.mjs');
    writeFileSync(broken, 'throw new Error("the module does not load");');
    const failing = startJpegThreads(2, pathToFileURL(broken));
    await expect(failing.decode(new Uint8Array(4), 8, 'pad')).rejects.toMatchObject({ code: 'ERR_WORKER_NOT_RUNNING', message: expect.stringContaining('the module does not load') as string });
    await failing.close();
    const threads = startJpegThreads(1, pathToFileURL(program));
    await threads.close();
    await expect(threads.decode(new Uint8Array(4), 8, 'pad')).rejects.toMatchObject({ code: 'ERR_WORKER_NOT_RUNNING' });
  });
});

describe.skipIf(!hasShared)('the untouched originals (need the shared data)', () => {
  it('are all decoded here, and look as the whole picture resized', async () => {
    const folder = sharedPath('decoder-originals');
    const differences: number[] = [];
    for (const name of readdirSync(folder).filter(file => /\.jpe?g$/.test(file))) {
      const bytes = readFileSync(join(folder, name));
      const pixels = decodeJpeg(bytes, 64, 'squeeze', true);
      expect(pixels, name).not.toBeNull();
      if (bytes.length > 40_000) continue; // the other decoder takes its time
      const { data, info } = await sharp(bytes, { ignoreIcc: true }).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
      const whole = await rgb(await sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels as 1 | 3 } }).resize(64, 64, { fit: 'fill', kernel: 'cubic' }).png().toBuffer());
      differences.push(mean(pixels as Uint8Array, whole));
    }
    expect(differences.length).toBeGreaterThan(15);
    expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(1.5);
  });
});
