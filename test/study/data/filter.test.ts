import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { agreement, labelOf } from '../../../src/study/data/audit.ts';
import { filterPairs, judge } from '../../../src/study/data/filter.ts';
import type { FilterOptions } from '../../../src/study/data/filter.ts';
import type { Pair } from '../../../src/study/data/pairs.ts';
import { parseCaptions, parseConcepts } from '../../../src/study/data/roco-text.ts';
import { splitNames } from '../../../src/study/data/splits.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

const options: FilterOptions = { set: 'permissive', like: 'permissive', angiography: true, evidence: ['source', 'caption', 'concepts'], seed: 1 };
const pair = (id: string, change: Partial<Pair>): Pair => ({ id, image: `${id}.png`, caption: 'A picture', group: id, split: 'train', licence: 'CC0', modality: null, source: 'x', ...change });
const modalities = ['ct', 'ultrasound', 'unknown', 'angiography', 'mri', 'fluoroscopy'];
const many = Array.from({ length: 600 }, (_, index) => pair(`p${index}`, { modality: modalities[index % 6] ?? null, split: splitNames[Math.floor(index / 200)] ?? 'train' }));

describe('evidence', () => {
  it('is the source, then the words, then the concepts, as far as they count', () => {
    const row = { caption: 'Renal sonogram', modality: 'ct', concepts: ['C0016356'] };
    expect(judge(row, ['source', 'caption', 'concepts'])).toEqual({ modality: 'ct', by: 'source' });
    expect(judge(row, ['caption', 'concepts'])).toEqual({ modality: 'ultrasound', by: 'caption' });
    expect(judge(row, ['concepts'])).toEqual({ modality: 'fluoroscopy', by: 'concepts' });
    expect(judge({ ...row, caption: 'CT of the chest' }, ['caption'])).toEqual({ modality: 'ct', by: 'caption' });
    expect(judge({ ...row, concepts: [] }, ['concepts'])).toEqual({ modality: 'unknown', by: 'none' });
  });
});

describe('the sets', () => {
  it('say why each row is left out, by what, and how many of which modality and split', () => {
    const { kept, dropped, counts } = filterPairs([...many, pair('words', { caption: 'A sonogram' }), pair('ids', { concepts: ['C0041618'] })], [], options);
    expect([kept.length, dropped.length]).toEqual([400, 202]);
    expect(dropped.slice(-2).map(row => row.reason)).toEqual(['ultrasound is left out of the permissive set (ultrasound by its caption)', 'ultrasound is left out of the permissive set (ultrasound by its concepts)']);
    expect(counts).toMatchObject({ pairs: 602, kept: 400, dropped: 202, dropped_modality: 202, dropped_random: 0, dropped_ultrasound: 102, dropped_fluoroscopy: 100, dropped_unknown: 0, dropped_by_source: 200, dropped_by_caption: 1, dropped_by_concepts: 1, kept_angiography: 100, kept_ct: 100 });
    expect(filterPairs(many, [], { ...options, set: 'all' }).kept).toHaveLength(600);
    expect(filterPairs(many, [], { ...options, set: 'strict' }).counts).toMatchObject({ kept: 300, dropped_unknown: 100 });
    expect(filterPairs(many, [], { ...options, set: 'strict', angiography: false }).counts).toMatchObject({ kept: 200, dropped_angiography: 100 });
  });
  it.each(['permissive', 'strict'] as const)('random is as large as %s in every split, of all modalities, and another draw with another seed', like => {
    const model = filterPairs(many, [], { ...options, set: like });
    const random = filterPairs(many, [], { ...options, set: 'random', like });
    for (const name of ['kept', 'kept_train', 'kept_validation', 'kept_test']) expect(random.counts[name]).toBe(model.counts[name]);
    expect(random.counts['kept_ultrasound']).toBeGreaterThan(20);
    expect(random.dropped[0]).toMatchObject({ kind: 'random', reason: `left out at random, as many as the ${like} set drops` });
    expect(filterPairs(many.toReversed(), [], { ...options, set: 'random', like }).kept.map(row => row.id).sort()).toEqual(random.kept.map(row => row.id).sort());
    expect(filterPairs(many, [], { ...options, set: 'random', like, seed: 2 }).kept).not.toEqual(random.kept);
  });
  it('leave leaks out of every set, and refuse a list of another source', () => {
    const leak = { id: 'p0', kind: 'leak', reason: 'the same file' };
    const { kept, dropped, counts } = filterPairs(many, [leak], options);
    expect([kept.length, dropped[0], counts['dropped_leak'], counts['dropped']]).toEqual([399, leak, 1, 201]);
    expect(() => filterPairs(many, [{ ...leak, id: 'q' }], options)).toThrow(/names q, which is none of these 600 pairs/);
  });
});

describe('the audit', () => {
  it('compares labels set by hand with the words, and undoes what the words had decided', () => {
    expect(labelOf({ modality: 'fluoroscopy', concepts: ['C1306645'] })).toBe('x-ray');
    expect(labelOf({ modality: 'fluoroscopy' })).toBe('fluoroscopy');
    const rows = [pair('1', { modality: 'ct', caption: 'Axial CT' }), pair('2', { modality: 'ct', caption: 'A mass' }), pair('3', { modality: 'ct', caption: 'MRI' }), pair('4', { modality: 'ultrasound', caption: 'A cyst' }), pair('5', { modality: 'fluoroscopy', concepts: ['C1306645'], caption: 'Barium' }), pair('6', {})];
    expect(agreement(rows, 'ct')).toMatchObject({ pairs: 3, agreeing: 1, agreeing_share: 0.5, rule_ct: 1, rule_mri: 1, rule_unknown: 1, left_out: 0 });
    expect(agreement(rows, 'x-ray')).toMatchObject({ pairs: 1, agreeing: 0, rule_fluoroscopy: 1, left_out: 1 });
    expect(agreement(rows, 'unlabelled')).toMatchObject({ pairs: 1, agreeing: 1, agreeing_share: 1 });
    expect(agreement(rows, 'nuclear')['agreeing_share']).toBeNaN();
  });
});

it.skipIf(!hasShared)('all captions of ROCO validation and test: the published counts of both sets, and what the concepts add (needs the shared data)', () => {
  const pairs: Pair[] = [];
  for (const split of ['validation', 'test'] as const) {
    const read = (file: string): string => readFileSync(sharedPath('roco-mirror', 'roco-dataset', 'data', split, 'radiology', file), 'utf8');
    const concepts = parseConcepts(read('cuis.txt'), 'cuis.txt').rows;
    for (const [id, caption] of parseCaptions(read('captions.txt'), 'captions.txt').rows) pairs.push(pair(id, { caption, split, concepts: concepts.get(id) ?? [] }));
  }
  const counts = (change: Partial<FilterOptions>): Readonly<Record<string, number>> => filterPairs(pairs, [], { ...options, ...change }).counts;
  const permissive = counts({});
  expect(permissive).toMatchObject({ pairs: 16359, kept: 14422, dropped: 1937 });
  // 6 captions speak of both: they count as ultrasound.
  expect([permissive['dropped_ultrasound'], permissive['dropped_fluoroscopy']]).toEqual([1557, 380]);
  expect(Math.abs(counts({ set: 'strict' })['kept']! - 10486)).toBeLessThan(150);
  for (const like of ['permissive', 'strict'] as const) expect(counts({ set: 'random', like })['kept']).toBe(counts({ set: like })['kept']);
  expect([permissive['dropped_by_concepts'], counts({ evidence: ['caption'] })['dropped']]).toEqual([4, 1933]);
});
