import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { stage as drawPhantom } from '../../stages/draw-phantom.ts';
import { stage as exportPairs } from '../../stages/export-pairs.ts';
import { stage as loadFolder } from '../../stages/load-folder.ts';
import { stage as loadVqaRad } from '../../stages/load-vqa-rad.ts';
import { stage } from '../../stages/make-data-card.ts';
import { contactSheet, wrapText } from '../../src/study/data/contact-sheet.ts';
import { readPairs, writePairs } from '../../src/study/data/pairs.ts';
import type { Pair } from '../../src/study/data/pairs.ts';
import { drawable } from '../../src/study/data/pixel-font.ts';
import { readMetrics } from '../../src/study/metric-lines.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const green = { r: 0, g: 200, b: 0 };
const pair = (id: string, change: Partial<Pair> = {}): Pair => ({ id, image: `${id}.png`, caption: 'Axial CT of the chest', group: id, split: 'train', licence: 'CC BY', modality: null, source: 'mine', ...change });

it('counts pairs, splits, licences, modalities and lengths, and says what was left out', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'a.png'), await sharp({ create: { width: 30, height: 20, channels: 3, background: green } }).png().toBuffer());
  await writeFile(join(folder, 'b.png'), 'no image');
  await writePairs(folder, [pair('a'), pair('b', { split: 'test', licence: 'CC0', group: 'a', modality: 'mri', caption: 'A mass | in the liver' }), pair('c', { caption: 'Axial CT of the chest' })], [{ id: 'x', kind: 'absent', reason: 'there is no image x.png' }], { source: 'Mine', captions: 'its own' });
  const { outputs, notes } = await runStage(stage, { params: {}, inputs: { pairs: folder } });
  const counts = await readMetrics(outputs.counts);
  expect(Object.fromEntries(['pairs', 'groups', 'train', 'validation', 'test', 'left_out', 'left_out_absent', 'modality_ct', 'modality_mri', 'modality_ultrasound', 'modality_by_source', 'licence_CC_BY', 'licence_CC0', 'width_p50', 'height_p50', 'words_max', 'duplicate_captions', 'tokens_p50', 'truncated_at_16'].map(name => [name, counts.get(name)]))).toEqual({
    pairs: 3, groups: 2, train: 2, validation: 0, test: 1, left_out: 1, left_out_absent: 1, modality_ct: 2, modality_mri: 1, modality_ultrasound: 0, modality_by_source: 1, licence_CC_BY: 2, licence_CC0: 1, width_p50: 30, height_p50: 20, words_max: 6, duplicate_captions: 1, tokens_p50: 5, truncated_at_16: 0,
  });
  const card = await readFile(outputs.card, 'utf8');
  for (const text of ['# Data card: mine', '| ct | 2 | 66.7 % |', '| CC0 | 1 | 33.3 % |', '- captions: its own', '| absent | 1 | x: there is no image x.png |', '| 77 | 0.0 % | 100.0 % |']) expect(card).toContain(text);
  expect(notes.at(-1)).toBe('mine: 3 images, 2 licences, 5.3 tokens a caption, 0.0 % beyond 77');
});

it('draws a sheet: pictures where they belong, captions in ink, and what does not decode said in red', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'a.png'), await sharp({ create: { width: 30, height: 30, channels: 3, background: green } }).png().toBuffer());
  await writeFile(join(folder, 'b.png'), 'no image');
  const pairs = [pair('a', { caption: 'Ünïcode “quotes” ≥ 5 µm' }), pair('b'), pair('c')];
  const options = { count: 24, columns: 2, tile: 96, lines: 2, seed: 1 };
  const bytes = await contactSheet(folder, pairs, options);
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  expect([info.format, info.width, info.height, info.channels]).toEqual(['raw', 2 * (96 + 12) + 12, 2 * (96 + 3 * 13 + 16) + 12, 3]);
  const colours = (left: number, top: number, width: number, height: number): Set<string> => {
    const seen = new Set<string>();
    for (let y = top; y < top + height; y += 1) for (let x = left; x < left + width; x += 1) seen.add([...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)].join(' '));
    return seen;
  };
  expect(colours(12, 12, 96, 96)).toEqual(new Set(['0 200 0']));
  expect(colours(12, 12 + 96 + 4, 96, 13)).toEqual(new Set(['255 255 255', '110 118 132']));
  expect(colours(12, 12 + 96 + 4 + 13, 96, 26)).toEqual(new Set(['255 255 255', '24 28 36']));
  expect(colours(12 + 108, 12, 96, 96)).toEqual(new Set(['236 236 236', '176 32 32']));
  expect((await contactSheet(folder, pairs, options)).equals(bytes)).toBe(true);
});

it('writes what the font has, between words', () => {
  expect(drawable('Łódź “CT” – 5 µm ≥ ﬁve\n漢')).toBe('?ódz "CT" - 5 µm >= five ?');
  expect(wrapText('one two three four', 9, 5)).toEqual(['one two', 'three', 'four']);
  expect(wrapText('incomprehensibilities of a', 10, 2)).toEqual(['incomprehe', 'nsibili...']);
  expect(wrapText('', 10, 2)).toEqual([]);
});

it('exports drawn pairs as a folder that load-folder reads back as they were', async () => {
  const { outputs: { pairs } } = await runStage(drawPhantom, { params: { count: 30, resolution: 32 }, inputs: {} });
  const { outputs: { folder }, metrics } = await runStage(exportPairs, { params: { limit: 10 }, inputs: { pairs } });
  expect(metrics.get('images')).toBe(10);
  const { outputs } = await runStage(loadFolder, { params: { name: 'phantom' }, inputs: { folder, archive: undefined } });
  const [before, after] = [await readPairs(pairs), await readPairs(outputs.pairs)];
  expect(after).toHaveLength(10);
  const raw = await readFile(join(pairs, 'images.raw'));
  for (const { image, ...row } of after) {
    const { image: drawn, ...was } = before.find(other => other.id === row.id) as Pair;
    expect(row).toEqual(was);
    const pixels = await sharp(join(outputs.pairs, image as string)).greyscale().raw().toBuffer();
    if (typeof drawn === 'string') throw new Error('not drawn');
    expect(pixels.equals(raw.subarray(drawn.offset, drawn.offset + 1024))).toBe(true);
  }
  // Files are copied as they are.
  const again = await runStage(exportPairs, { params: {}, inputs: { pairs: outputs.pairs } });
  const name = after[0]?.image as string;
  expect((await readFile(join(again.outputs.folder, 'images/000000.png'))).equals(await readFile(join(outputs.pairs, name)))).toBe(true);
});

it.skipIf(!hasShared)('makes a card of VQA-RAD (needs the shared data)', async () => {
  const { outputs: { pairs } } = await runStage(loadVqaRad, { params: {}, inputs: { folder: sharedPath('vqa-rad'), archive: undefined } });
  const { outputs } = await runStage(stage, { params: { images: 6, columns: 3 }, inputs: { pairs } });
  const counts = await readMetrics(outputs.counts);
  expect(['pairs', 'groups', 'test', 'modality_ct', 'modality_mri', 'modality_x_ray', 'licence_CC0'].map(name => counts.get(name))).toEqual([314, 314, 203, 125, 82, 107, 314]);
  expect(await sharp(outputs.sheet).metadata()).toMatchObject({ format: 'png', width: 3 * 180 + 12 });
});
