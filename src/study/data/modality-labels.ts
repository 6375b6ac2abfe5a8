import type { Modality } from './modality.ts';

/** The modality concepts that ROCOv2's authors set by hand. There is none for fluoroscopy: it is labelled plain X-ray. */
const byConcept: Readonly<Record<string, Modality>> = {
  C0041618: 'ultrasound',
  C0040405: 'ct',
  C0024485: 'mri',
  C1306645: 'x-ray',
  C0002978: 'angiography',
  C0032743: 'nuclear',
  C1699633: 'nuclear',
};

/** The modality that hand-set concept ids name; null where they name none. */
export function modalityOfConcepts(concepts: readonly string[]): Modality | null {
  for (const concept of concepts) {
    const modality = byConcept[concept];
    if (modality !== undefined) return modality;
  }
  return null;
}

const byWord: readonly (readonly [RegExp, Modality])[] = [
  [/^(us|ultraso\w*|echo\w*|sono\w*)\b/i, 'ultrasound'],
  [/fluoro/i, 'fluoroscopy'],
  [/^(ct|cta|cat|computed tomography|virtual colonoscopy)\b/i, 'ct'],
  [/^(mr|mri|mra|mrs|magnetic resonance)\b/i, 'mri'],
  [/^(x[-\s]?rays?|xr|cr|dx|radiogra\w*|plain film|mammo\w*)\b/i, 'x-ray'],
  [/angiogra/i, 'angiography'],
  [/^(pet|spect|nm|nuclear|scinti\w*)\b/i, 'nuclear'],
];

/** The modality that a label such as `X-Ray`, `MR - T2 weighted` or `CT w/contrast (IV)` names; null for others. */
export function modalityOfLabel(label: string): Modality | null {
  return byWord.find(([pattern]) => pattern.test(label.trim()))?.[1] ?? null;
}
