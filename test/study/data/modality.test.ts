import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mentionsFluoroscopy, mentionsUltrasound, modalityOf, modalityReason } from '../../../src/study/data/modality.ts';
import { parseCaptions, parseConcepts } from '../../../src/study/data/roco-text.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

describe('one caption', () => {
  it.each([
    ['Axial CT of the chest.', 'ct'],
    ['T2-weighted MRI after a CT', 'mri'],
    ['Contrast CT angiography of the aorta', 'ct'],
    ['Coronary angiography', 'angiography'],
    ['Chest X-ray', 'x-ray'],
    ['Chest radiograph showing the tip of a catheter', 'x-ray'],
    ['Hypo-echoic lesion', 'ultrasound'],
    ['CT and ultrasound of the liver', 'ultrasound'],
    ['Barium swallow', 'fluoroscopy'],
    ['MR arthrography of the shoulder', 'mri'],
    ['CT myelography', 'ct'],
    ['MRCP of the ducts', 'mri'],
    ['A mass in the left lobe', 'unknown'],
    ['the acts of the TEEN', 'unknown'],
  ])('%s: %s', (caption, modality) => expect(modalityOf(caption)).toBe(modality));

  it('takes a concept where the words say nothing', () => {
    expect(modalityOf('A cyst', ['C0041618'])).toBe('ultrasound');
    expect(modalityOf('The stent', ['C0016356'])).toBe('fluoroscopy');
  });
  it('says why a row is not in a set', () => {
    expect(modalityReason('ultrasound', 'permissive', true)).toMatch(/ultrasound/);
    expect(modalityReason('ultrasound', 'all', true)).toBeUndefined();
    expect(modalityReason('unknown', 'permissive', true)).toBeUndefined();
    expect(modalityReason('unknown', 'strict', true)).toMatch(/no modality/);
    expect(modalityReason('angiography', 'permissive', false)).toMatch(/angiography/);
  });
});

describe.skipIf(!hasShared)('all captions of ROCO validation and test (needs the shared data)', () => {
  it('has the counts of the rule: 1,557 ultrasound, 386 fluoroscopy, 1,937 dropped, 14,422 kept', () => {
    const captions: [string, readonly string[]][] = [];
    for (const split of ['validation', 'test']) {
      const read = (file: string): string => readFileSync(sharedPath('roco-mirror', 'roco-dataset', 'data', split, 'radiology', file), 'utf8');
      const concepts = parseConcepts(read('cuis.txt'), 'cuis.txt').rows;
      for (const [id, caption] of parseCaptions(read('captions.txt'), 'captions.txt').rows) captions.push([caption, concepts.get(id) ?? []]);
    }
    const count = (test: (caption: string, concepts: readonly string[]) => boolean): number => captions.filter(([text, concepts]) => test(text, concepts)).length;
    const counts = {
      captions: captions.length,
      ultrasound: count(mentionsUltrasound),
      fluoroscopy: count(mentionsFluoroscopy),
      dropped: count((text, concepts) => modalityReason(modalityOf(text, concepts), 'permissive', true) !== undefined),
      kept: count((text, concepts) => modalityReason(modalityOf(text, concepts), 'permissive', true) === undefined),
    };
    expect(counts).toEqual({ captions: 16359, ultrasound: 1557, fluoroscopy: 386, dropped: 1937, kept: 14422 });
    // Published for the wider rule: 10,486 name an allowed modality; ours may read a few words more or less.
    const strict = count((text, concepts) => modalityReason(modalityOf(text, concepts), 'strict', true) === undefined);
    expect(Math.abs(strict - 10486)).toBeLessThan(150);
  });
});
