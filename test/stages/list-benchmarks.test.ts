import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stage } from '../../stages/list-benchmarks.ts';
import { stage as loadSlake } from '../../stages/load-slake.ts';
import { stage as loadVqaRad } from '../../stages/load-vqa-rad.ts';
import { writePairs } from '../../src/study/data/pairs.ts';
import type { Pair } from '../../src/study/data/pairs.ts';
import { readMetrics } from '../../src/study/metric-lines.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const none = { vqaRad: undefined, vqaRadQuestions: undefined, slake: undefined, slakeQuestions: undefined, medpix: undefined, medmnist: undefined, roco: undefined, rocov2: undefined, leaks: undefined, medpixLeaks: undefined };
const rowOf = (page: string, name: string): string => page.split('\n').find(line => line.startsWith(`| ${name} |`)) ?? '';
const pair = (id: string, change: Partial<Pair>): Pair => ({ id, image: `${id}.png`, caption: 'A mass', group: id, split: 'test', licence: 'CC0', modality: null, source: 'x', ...change });

it('tells what is published where nothing is at hand', async () => {
  const { outputs, notes } = await runStage(stage, { params: {}, inputs: none });
  const page = await readFile(outputs.page, 'utf8');
  expect(page).toContain('Nothing was compared with a training set.');
  expect(rowOf(page, 'VQA-RAD')).toBe('| VQA-RAD | 315 images, 3,515 questions | CT, MRI, X-ray | not measured; published: none | not measured | CC0 1.0 | not compared |');
  expect(page.match(/^\| PathVQA \|/gm)).toHaveLength(2);
  expect(notes).toEqual(['0 sources at hand: none']);
});

it('counts labels, what texts speak of, and leaks', async () => {
  const [medpix, medmnist, roco] = [await temporaryFolder(), await temporaryFolder(), await temporaryFolder()];
  await writePairs(medpix, [pair('m1', { source: 'medpix', modality: 'ct', caption: 'Seen on ultrasound before' }), pair('m2', { source: 'medpix', modality: 'mri', split: 'train' })], [], {});
  await writePairs(medmnist, [pair('o1', { source: 'organamnist', modality: 'ct' }), pair('c1', { source: 'chestmnist', modality: 'x-ray' })], [], {});
  await writePairs(roco, [pair('r1', { source: 'roco', caption: 'Barium swallow' }), pair('r2', { source: 'roco' })], [], {});
  const row = (source: string, id: string, split: string): object => ({ source, id, split, group: id });
  const leaks = join(roco, 'clusters.json');
  await writeFile(leaks, JSON.stringify({ distance: 30, training: { roco: 2 }, tests: { medpix: 2, organamnist: 1 }, clusters: [[row('roco', 'r1', 'train'), row('medpix', 'm1', 'test'), row('medpix', 'm2', 'train')], [row('medpix', 'm1', 'test'), row('organamnist', 'o1', 'test')]] }));
  const medpixLeaks = join(roco, 'medpix.json');
  await writeFile(medpixLeaks, JSON.stringify({ distance: 30, training: { medpix: 2 }, tests: { 'vqa-rad': 3 }, clusters: [[row('medpix', 'm1', 'test'), row('vqa-rad', 'v1', 'test')]] }));
  const { outputs } = await runStage(stage, { params: {}, inputs: { ...none, medpix, medmnist, roco, leaks, medpixLeaks } });
  const page = await readFile(outputs.page, 'utf8');
  expect(rowOf(page, 'MedPix 2.0')).toContain('at hand 2 images | ct 1, mri 1 | 0.0 %: 0 of 2 by label; 1 of 2 texts speak of it | 0.0 %: 0 of 2 by label; 0 of 2 texts speak of it |');
  expect(rowOf(page, 'MedPix 2.0')).toContain('| 2 images, 1 of them of its test split |');
  expect(rowOf(page, 'MedMNIST v2: organs (axial, coronal, sagittal)')).toContain('at hand 1 images | ct 1 | 0.0 %: 0 of 1 by label |');
  expect(rowOf(page, 'MedMNIST v2: organs (axial, coronal, sagittal)')).toContain('| no image |');
  expect(rowOf(page, 'ROCO v1, test split')).toContain('| fluoroscopy 1, unknown 1 | 0.0 %: 0 of 2 by the caption rule | 50.0 %: 1 of 2 by the caption rule |');
  expect(rowOf(page, 'ROCO v1, test split')).toContain('it is what is trained on');
  expect(page).toContain('Compared with the training set (2 images of roco) were 2 images of medpix, 1 images of organamnist');
  expect(page).toContain("MedPix and VQA-RAD show 1 images in common, 1 of them of VQA-RAD's test split");
  const counts = await readMetrics(outputs.counts);
  expect(['medpix_images', 'medpix_leaks', 'roco_fluoroscopy', 'organamnist_leaks'].map(name => counts.get(name))).toEqual([2, 2, 1, 0]);
});

it.skipIf(!hasShared)('measures VQA-RAD and SLAKE: neither holds ultrasound or fluoroscopy (needs the shared data)', async () => {
  const rad = await runStage(loadVqaRad, { params: {}, inputs: { folder: sharedPath('vqa-rad'), archive: undefined } });
  const slake = await runStage(loadSlake, { params: {}, inputs: { folder: sharedPath('slake'), archive: undefined } });
  const { outputs } = await runStage(stage, { params: {}, inputs: { ...none, vqaRad: rad.outputs.pairs, vqaRadQuestions: rad.outputs.questions, slake: slake.outputs.pairs, slakeQuestions: slake.outputs.questions } });
  const page = await readFile(outputs.page, 'utf8');
  expect(rowOf(page, 'VQA-RAD')).toContain('at hand 314 images, 3,515 questions | ct 125, x-ray 107, mri 82 | 0.0 %: 0 of 314 by label; 1 of 3,515 texts speak of it | 0.0 %: 0 of 314 by label; 0 of 3,515 texts speak of it |');
  expect(rowOf(page, 'SLAKE')).toContain('at hand 14,027 questions | ct 282, mri 181, x-ray 179 | 0.0 %: 0 of 642 by label; 0 of 14,027 texts speak of it |');
  expect((await readFile(rad.outputs.questions, 'utf8')).length).toBeGreaterThan(1000);
});
