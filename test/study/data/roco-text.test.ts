import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseCaptions, parseConcepts, parseLicences, parseLinks } from '../../../src/study/data/roco-text.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

describe('ROCO lists', () => {
  it('splits a caption at the first tab only', () => {
    expect([...parseCaptions('ROCO_00020\t CT.\tSecond\r\n', 'c').rows]).toEqual([['ROCO_00020', 'CT.\tSecond']]);
  });
  it('reports what does not read by id or line, and goes on', () => {
    const text = ['ROCO_00001 no tab', 'ROCO_00002\t', 'x\tCT', 'ROCO_00003\tbad \ufffd byte', 'ROCO_00004\tgood', 'ROCO_00004\tagain'].join('\n');
    const { rows, leftOut } = parseCaptions(text, 'captions.txt');
    expect([...rows]).toEqual([['ROCO_00004', 'good']]);
    expect(leftOut.map(({ id, reason }) => `${id} | ${reason}`)).toEqual([
      'captions.txt:1 | captions.txt:1: there is no tab between id and caption',
      'ROCO_00002 | captions.txt:2: the caption is empty',
      'captions.txt:3 | captions.txt:3: "x" is no ROCO id',
      'ROCO_00003 | captions.txt:4: the caption is not valid UTF-8',
      'ROCO_00004 | captions.txt:6: the id is there twice; the first one counts',
    ]);
  });
  it('reads articles and files, licences and concepts', () => {
    expect(parseLinks('ROCO_1\twget -r ftp://x/oa_package/8d/34/PMC4608653.tar.gz -P /d\tg01.jpg', 'd').rows.get('ROCO_1')).toEqual({ pmcid: 'PMC4608653', file: 'g01.jpg' });
    expect(parseLinks('ROCO_1\twget x\tg01.jpg', 'd').leftOut[0]?.reason).toMatch(/no article archive/);
    expect(parseLicences('ROCO_ID,PMC_ID,CC\nROCO_1,PMC39_a_b.003.jpg,CC BY', 'l').rows.get('ROCO_1')).toEqual({ pmcid: 'PMC39', file: 'a_b.003.jpg', licence: 'CC BY' });
    expect(parseLicences('ROCO_ID,PMC_ID,CC\nROCO_1,39.jpg,CC BY', 'l').leftOut).toHaveLength(1);
    expect(parseConcepts('ROCO_1\t\nROCO_2\t\tC4300092\tjunk', 'k').rows.get('ROCO_2')).toEqual(['C4300092']);
  });
  it.skipIf(!hasShared)('finds the same figure in both lists for all rows of test and validation (needs the shared data)', () => {
    for (const [split, count] of [['test', 8179], ['validation', 8180]] as const) {
      const read = (file: string): string => readFileSync(sharedPath('roco-mirror', 'roco-dataset', 'data', split, 'radiology', file), 'utf8');
      const links = parseLinks(read('dlinks.txt'), 'dlinks.txt');
      const licences = parseLicences(read('licences.txt'), 'licences.txt');
      expect([links.rows.size, links.leftOut.length, licences.rows.size, licences.leftOut.length]).toEqual([count, 0, count, 0]);
      for (const [id, { pmcid, file }] of links.rows) expect(licences.rows.get(id)).toMatchObject({ pmcid, file });
    }
  });
});
