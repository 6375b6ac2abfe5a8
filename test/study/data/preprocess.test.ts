import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeSquare } from '../../../src/study/data/decode-image.ts';
import { damagedShards, openImages, writeShards } from '../../../src/study/data/image-shards.ts';
import type { ImageRow } from '../../../src/study/data/image-shards.ts';
import { writePairs } from '../../../src/study/data/pairs.ts';
import type { LeftOut, Pair } from '../../../src/study/data/pairs.ts';
import { drawPhantoms } from '../../../src/study/data/phantom.ts';
import { preprocess } from '../../../src/study/data/preprocess.ts';
import type { PreprocessOptions } from '../../../src/study/data/preprocess.ts';
import { selectPairs } from '../../../src/study/data/select.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

let root: string;
beforeAll(async () => { root = await mkdtemp(join(tmpdir(), 'preprocess-')); });
afterAll(() => rm(root, { recursive: true }));
const folder = (): Promise<string> => mkdtemp(join(root, 'f-'));

const options: PreprocessOptions = {
  resolution: 16, fit: 'pad', splitBy: 'source', validation: 0.1, test: 0.1, folds: null, fold: 0, seed: 1, limit: null,
};

/** Left half red, right half blue, 40 wide and 20 high. */
const flag = (): ReturnType<typeof sharp> => sharp({ create: { width: 40, height: 20, channels: 3, background: '#ff0000' } })
  .composite([{ input: { create: { width: 20, height: 20, channels: 3, background: '#0000ff' } }, left: 20, top: 0 }]);
const at = (pixels: Uint8Array, size: number, row: number, column: number): number[] => [...pixels.subarray((row * size + column) * 3, (row * size + column) * 3 + 3)];
const near = (colour: number[], wanted: number[], by = 40): void => colour.forEach((value, index) => expect(Math.abs(value - (wanted[index] ?? 0))).toBeLessThanOrEqual(by));

describe('decoding', () => {
  it('crops to the middle or pads with black', async () => {
    const bytes = await flag().png().toBuffer();
    const cropped = await decodeSquare({ bytes }, 20, 'crop');
    near(at(cropped, 20, 0, 2), [255, 0, 0]);
    near(at(cropped, 20, 19, 17), [0, 0, 255]);
    const padded = await decodeSquare({ bytes }, 20, 'pad');
    near(at(padded, 20, 1, 10), [0, 0, 0]);
    near(at(padded, 20, 10, 2), [255, 0, 0]);
  });
  it('turns as EXIF says', async () => {
    const bytes = await flag().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).withMetadata({ orientation: 6 }).toBuffer();
    const pixels = await decodeSquare({ bytes }, 20, 'crop'); // turned a quarter clockwise: red on top
    near(at(pixels, 20, 2, 10), [255, 0, 0]);
    near(at(pixels, 20, 17, 10), [0, 0, 255]);
  });
  it('brings CMYK, palettes, 16 bits, grey, progressive and transparent images to RGB', async () => {
    const square = (await decodeSquare({ bytes: await flag().png().toBuffer() }, 16, 'crop'));
    const variants = {
      palette: await flag().png({ palette: true, colours: 4 }).toBuffer(),
      sixteen: await flag().toColourspace('rgb16').png().toBuffer(),
      progressive: await flag().jpeg({ progressive: true, quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
      webp: await flag().webp({ lossless: true }).toBuffer(),
      tiff: await flag().tiff().toBuffer(),
    };
    for (const bytes of Object.values(variants)) {
      const pixels = await decodeSquare({ bytes }, 16, 'crop');
      expect(pixels).toHaveLength(16 * 16 * 3);
      for (const column of [2, 13]) near(at(pixels, 16, 8, column), at(square, 16, 8, column), 12);
    }
    const grey = await decodeSquare({ bytes: await sharp({ create: { width: 9, height: 9, channels: 3, background: '#808080' } }).greyscale().png().toBuffer() }, 8, 'pad');
    near(at(grey, 8, 4, 4), [128, 128, 128], 2);
    const grey16 = await sharp(Buffer.from(new Uint16Array(81).fill(0x8080).buffer), { raw: { width: 9, height: 9, channels: 1, depth: 'ushort' } } as Parameters<typeof sharp>[1]).toColourspace('grey16').png().toBuffer();
    expect((await sharp(grey16).metadata()).depth).toBe('ushort');
    near(at(await decodeSquare({ bytes: grey16 }, 8, 'pad'), 8, 4, 4), [128, 128, 128], 2);
    const cmyk = await flag().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    const fromCmyk = at(await decodeSquare({ bytes: cmyk }, 16, 'crop'), 16, 8, 2);
    expect((fromCmyk[0] ?? 0) - Math.max(fromCmyk[1] ?? 0, fromCmyk[2] ?? 0)).toBeGreaterThan(100);
    const clear = await sharp({ create: { width: 9, height: 9, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 0 } } }).png().toBuffer();
    near(at(await decodeSquare({ bytes: clear }, 8, 'pad'), 8, 4, 4), [0, 0, 0], 0);
  });
  it('refuses what is cut off, empty or no image', async () => {
    const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * 7919) % 256));
    const bytes = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } }).jpeg({ quality: 95 }).toBuffer();
    await expect(decodeSquare({ bytes: bytes.subarray(0, bytes.length >> 1) }, 16, 'pad')).rejects.toThrow();
    await expect(decodeSquare({ bytes: Buffer.from('<!DOCTYPE html><p>Not found') }, 16, 'pad')).rejects.toThrow();
  });
  it.skipIf(!hasShared)('decodes the untouched originals as other readers do (needs the shared data)', async () => {
    interface Original { file: string; width: number; height: number; mode: string; mean8x8: number[] | null }
    const rows = readFileSync(sharedPath('decoder-originals', 'originals.jsonl'), 'utf8').trim().split('\n').map(line => JSON.parse(line) as Original);
    const problems: string[] = [];
    let compared = 0;
    for (const { file, width, height, mode, mean8x8 } of rows) {
      // The published means are of grey pictures, and as if these had no colour profile, which we apply.
      const bytes = readFileSync(sharedPath('decoder-originals', file.replace('originals/', '')));
      if (mean8x8 === null || (await sharp(bytes).metadata()).icc !== undefined) continue;
      compared += 1;
      const size = 256;
      const data = await decodeSquare({ bytes }, size, 'pad');
      // The picture's part of the padded square, cut into 8 × 8 blocks.
      const scale = size / Math.max(width, height);
      const [wide, high] = [width * scale, height * scale];
      const [left, top] = [(size - wide) / 2, (size - high) / 2];
      const mean = (block: number): number => {
        const [x0, y0] = [left + ((block % 8) * wide) / 8, top + (Math.floor(block / 8) * high) / 8];
        let [sum, count] = [0, 0];
        for (let y = Math.round(y0); y < Math.round(y0 + high / 8); y += 1) {
          for (let x = Math.round(x0); x < Math.round(x0 + wide / 8); x += 1) {
            const [red = 0, green = 0, blue = 0] = at(data, size, y, x);
            sum += 0.299 * red + 0.587 * green + 0.114 * blue;
            count += 1;
          }
        }
        return sum / count;
      };
      const worst = Math.max(...mean8x8.map((wanted, block) => Math.abs(mean(block) - wanted)));
      if (worst > 9) problems.push(`${file} (${mode}, ${width} × ${height}): ${worst.toFixed(1)}`);
    }
    expect(compared).toBe(15);
    expect(problems).toEqual([]);
  });
});

describe('shards', () => {
  const row = (id: string): ImageRow => ({ id, group: id, split: 'train', licence: 'CC0', modality: 'ct', source: 'x' });
  it('are read across their borders, in any order, and checked', async () => {
    const path = await folder();
    const writer = writeShards(path, 2, 36); // three images a shard
    for (let index = 0; index < 8; index += 1) await writer.add(new Uint8Array(12).fill(index), row(`i${index}`));
    expect((await writer.finish()).shards.map(shard => shard.count)).toEqual([3, 3, 2]);
    const images = await openImages(path);
    expect(images).toMatchObject({ count: 8, resolution: 2, channels: 3 });
    expect(images.mean[0]).toBeCloseTo(0.48145466, 8);
    expect(images.rows.map(entry => entry.id)).toEqual(['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7']);
    const out = new Uint8Array(36);
    images.read(Int32Array.of(7, 2, 3), out);
    expect([out[0], out[11], out[12], out[24]]).toEqual([7, 7, 2, 3]);
    expect(() => images.read([8], new Uint8Array(12))).toThrow('there is no image 8: there are 8');
    expect(() => images.read([0], new Uint8Array(11))).toThrow(/need 12 bytes/);
    images.close();
    expect(await damagedShards(path)).toEqual([]);
    await writeFile(join(path, 'images-0001.u8'), new Uint8Array(36).fill(9));
    expect(await damagedShards(path)).toEqual(['images-0001.u8']);
    await truncate(join(path, 'images-0001.u8'), 35);
    await expect(openImages(path)).rejects.toThrow(/has 35 bytes, not 36/);
  });
});

const modalities = ['ct', 'ultrasound', 'unknown', 'angiography', 'mri', 'fluoroscopy'];
const pairs = (count: number): Pair[] => Array.from({ length: count }, (_, index): Pair => ({
  id: `p${index}`, image: `images/p${index}.png`, caption: 'A picture', group: `g${index >> 1}`, split: 'test', licence: 'CC BY', modality: modalities[index % 6] ?? null, source: 'x',
}));

describe('selecting pairs', () => {
  const ids = (change: Partial<PreprocessOptions>, count = 600): string[] => selectPairs(pairs(count), { ...options, ...change }).rows.map(row => `${row.split} ${row.id}`);
  it('keeps the splits of the source, or draws new ones by group', () => {
    expect(new Set(selectPairs(pairs(60), options).rows.map(row => row.split))).toEqual(new Set(['test']));
    const { rows } = selectPairs(pairs(600), { ...options, splitBy: 'group' });
    expect(rows.filter(row => row.split === 'test')).toHaveLength(60);
    for (let index = 0; index < 600; index += 2) expect(rows[index]?.split).toBe(rows[index + 1]?.split);
    expect(selectPairs(pairs(600), { ...options, splitBy: 'group', folds: 5 }).rows.filter(row => row.split === 'test')).toHaveLength(120);
  });
  it('draws the same splits whatever is dropped, and keeps joined groups together', () => {
    const dropped = Array.from({ length: 100 }, (_, index) => ({ id: `p${index * 5}`, kind: 'leak', reason: 'because' }));
    const change = { ...options, splitBy: 'group' as const, folds: 5, fold: 2 };
    const all = new Map(selectPairs(pairs(600), change).rows.map(row => [row.id, row.split]));
    const { rows, leftOut } = selectPairs(pairs(600), change, { dropped });
    expect([rows.length, leftOut]).toEqual([500, dropped]);
    for (const row of rows) expect(row.split).toBe(all.get(row.id));
    const groups = new Map(Array.from({ length: 40 }, (_, index): [string, string] => [`p${index * 15}`, 'one']));
    const joined = selectPairs(pairs(600), change, { groups }).rows.filter(row => groups.has(row.id));
    expect(new Set(joined.map(row => row.group))).toEqual(new Set(['one']));
    expect(new Set(joined.map(row => row.split)).size).toBe(1);
    expect(() => selectPairs(pairs(600), change, { dropped: [{ id: 'x', kind: 'leak', reason: '' }] })).toThrow(/the findings name x, which is none of these 600 pairs/);
  });
  it('limits training pairs alone, and a smaller limit is a part of a larger one', () => {
    const all = ids({ splitBy: 'group' });
    const large = ids({ splitBy: 'group', limit: 200 });
    const small = ids({ splitBy: 'group', limit: 50 });
    const train = (rows: string[]): string[] => rows.filter(row => row.startsWith('train'));
    expect([train(large).length, train(small).length]).toEqual([200, 50]);
    expect(train(small).every(row => large.includes(row))).toBe(true);
    expect(small.filter(row => !row.startsWith('train'))).toEqual(all.filter(row => !row.startsWith('train')));
  });
  it('reads the modality off the caption where the source says none', () => {
    const [pair] = pairs(1);
    if (pair === undefined) throw new Error('no pair');
    expect(selectPairs([{ ...pair, modality: null, caption: 'Renal sonogram' }], options).rows[0]?.modality).toBe('ultrasound');
    expect(selectPairs([{ ...pair, modality: null, concepts: ['C0016356'] }], options).rows[0]?.modality).toBe('fluoroscopy');
  });
});

describe('preprocess', () => {
  async function source(count: number, image: (index: number) => Promise<Buffer | null>): Promise<string> {
    const path = await folder();
    await mkdir(join(path, 'images'));
    for (let index = 0; index < count; index += 1) {
      const bytes = await image(index);
      if (bytes !== null) await writeFile(join(path, `images/p${index}.png`), bytes);
    }
    await writePairs(path, pairs(count), [], {});
    return path;
  }
  const grey = (value: number): Promise<Buffer> => sharp({ create: { width: 20, height: 20, channels: 3, background: { r: value, g: value, b: value } } }).png().toBuffer();

  it('keeps order, reports broken images by id, and goes on', async () => {
    const from = await source(12, async index => (index === 3 ? Buffer.from('<html>') : index === 5 ? null : index === 7 ? Buffer.alloc(0) : grey(index * 20)));
    const [images, captions] = [await folder(), join(root, 'captions.jsonl')];
    const summary = await preprocess({ pairs: from, images, captions }, options, { cores: 2 });
    expect(summary).toMatchObject({ images: 9, broken: 3, counts: { images: 9, test: 9, train: 0, broken: 3, left_out: 3 } });
    const opened = await openImages(images);
    const kept = [0, 1, 2, 4, 6, 8, 9, 10, 11];
    expect(opened.rows.map(row => row.id)).toEqual(kept.map(index => `p${index}`));
    const out = new Uint8Array(9 * 16 * 16 * 3);
    opened.read(kept.map((_, index) => index), out);
    kept.forEach((index, position) => expect(out[position * 768]).toBe(index * 20));
    opened.close();
    const report = JSON.parse(await readFile(join(images, 'report.json'), 'utf8')) as { leftOutRows: LeftOut[] };
    expect(report.leftOutRows.map(row => row.id)).toEqual(['p3', 'p5', 'p7']);
    expect(report.leftOutRows.map(row => row.reason)).toEqual([expect.stringContaining('unsupported image format'), 'the file is missing', 'the file is empty']);
    const lines = (await readFile(captions, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as { id: string });
    expect(lines.map(row => row.id)).toEqual(opened.rows.map(row => row.id));
    expect(lines[0]).toEqual({ id: 'p0', caption: 'A picture', split: 'test', group: 'g0' });
  });
  it('fails when every image is broken, or none is left', async () => {
    const from = await source(3, async () => Buffer.from('x'));
    const to = async (): Promise<{ pairs: string; images: string; captions: string }> => ({ pairs: from, images: await folder(), captions: join(root, 'none.jsonl') });
    await expect(preprocess(await to(), options)).rejects.toThrow(/none of 3 images decodes; the first one, p0: .*unsupported/);
    await writePairs(from, pairs(2), [], {});
    await writeFile(join(from, 'dropped.jsonl'), ['p0', 'p1'].map(id => `${JSON.stringify({ id, kind: 'modality', reason: 'ultrasound is left out' })}\n`).join(''));
    await expect(preprocess({ ...(await to()), dropped: join(from, 'dropped.jsonl') }, options)).rejects.toThrow(/none of the 2 pairs is left: ultrasound is left out/);
  });
  it('takes drawn pixels as they are, and scales them', async () => {
    const from = await folder();
    await drawPhantoms(from, { count: 30, resolution: 32, seed: 1, captions: 'short', validation: 0.1, test: 0.1 });
    const drawn = await readFile(join(from, 'images.raw'));
    for (const resolution of [32, 16]) {
      const images = await folder();
      await preprocess({ pairs: from, images, captions: join(root, `drawn-${resolution}.jsonl`) }, { ...options, resolution });
      const opened = await openImages(images);
      const out = new Uint8Array(resolution * resolution * 3);
      opened.read([29], out);
      opened.close();
      expect([out[0], out[1]]).toEqual([out[1], out[2]]);
      if (resolution === 32) expect(out.filter((_, index) => index % 3 === 1)).toEqual(new Uint8Array(drawn.subarray(29 * 1024)));
      else expect(Math.max(...out)).toBeGreaterThan(80);
    }
  });
  it.skipIf(!hasShared)('takes every untouched original, or reports it (needs the shared data)', async () => {
    const files = readFileSync(sharedPath('decoder-originals', 'originals.jsonl'), 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { file: string }).file.replace('originals/', ''));
    const from = await folder();
    for (const file of files) await writeFile(join(from, file), readFileSync(sharedPath('decoder-originals', file)));
    await writePairs(from, files.map((file, index): Pair => ({ ...(pairs(1)[0] as Pair), id: file, image: file, group: String(index) })), [], {});
    const summary = await preprocess({ pairs: from, images: await folder(), captions: join(root, 'originals.jsonl') }, { ...options, resolution: 64 }, { cores: 2 });
    expect(summary.images + summary.broken).toBe(82);
    expect(summary.broken).toBe(0);
  });
});
