import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPairs, writePairs } from '../../../src/study/data/pairs.ts';
import type { Pair } from '../../../src/study/data/pairs.ts';

const pair: Pair = { id: 'a', image: 'images/a.jpg', caption: 'CT', group: 'PMC1', split: 'train', licence: 'CC BY', modality: null, source: 'roco' };
let folder: string;
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'pairs-')); });
afterEach(() => rm(folder, { recursive: true }));

const withRows = (...rows: unknown[]): Promise<void> => writeFile(join(folder, 'pairs.jsonl'), rows.map(row => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));

describe('pairs', () => {
  it('come back as they were written, with counts beside them', async () => {
    const drawn: Pair = { ...pair, id: 'b', image: { file: 'images.raw', offset: 0, width: 4, height: 4, channels: 1 }, modality: 'ct', concepts: ['C0040405'] };
    await writePairs(folder, [pair, drawn], [{ id: 'c', kind: 'absent', reason: 'gone' }], { source: 'x' });
    expect(await readPairs(folder)).toEqual([pair, drawn]);
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toMatchObject({
      pairs: 2, groups: 1, counts: { licence: { 'CC BY': 2 }, leftOut: { absent: 1 } }, leftOut: [{ id: 'c', reason: 'gone' }],
    });
  });
  it.each([
    ['not JSON', [pair, '{"id":'], /pairs\.jsonl:2: not JSON/],
    ['a list', ['[1]'], /:1: "id" is missing/],
    ['no caption', [{ ...pair, caption: '' }], /:1: "caption" is missing/],
    ['an unknown split', [{ ...pair, split: 'dev' }], /"split" must be one of train, validation, test/],
    ['an id twice', [pair, pair], /:2: the id a is on line 1 already/],
    ['a path that climbs out', [{ ...pair, image: 'images/../../x.jpg' }], /leaves the folder/],
    ['an absolute path', [{ ...pair, image: '/etc/passwd' }], /leaves the folder/],
    ['a raw file that climbs out', [{ ...pair, image: { file: '../x', offset: 0, width: 1, height: 1, channels: 1 } }], /inside the folder/],
    ['a raw image without size', [{ ...pair, image: { file: 'x', offset: 0, width: 0, height: 1, channels: 1 } }], /"image.width" is no size/],
    ['no image', [{ ...pair, image: null }], /"image" is missing/],
  ])('are refused with file and line: %s', async (_, rows, message) => {
    await withRows(...rows);
    await expect(readPairs(folder)).rejects.toThrow(message);
  });
});
