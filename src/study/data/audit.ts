import { modalityNames, modalityOf } from './modality.ts';
import { modalityOfConcepts } from './modality-labels.ts';
import type { Pair } from './pairs.ts';

/**
 * The label that a person gave: the source's, but for fluoroscopy that ROCOv2's reader reads off the caption, where its authors
 * label plain X-ray; null where there is none.
 */
export function labelOf({ modality, concepts }: Pick<Pair, 'modality' | 'concepts'>): string | null {
  return modality === 'fluoroscopy' ? (modalityOfConcepts(concepts ?? []) ?? modality) : modality;
}

/**
 * What the caption's words alone say of the pairs with one label: `rule_ct` and so on, `agreeing` (the same; for the unlabelled:
 * nothing), `agreeing_share` of those that the words name at all, and `left_out`, what the permissive set would drop.
 *
 * @param label `unlabelled` for pairs without one
 */
export function agreement(pairs: readonly Pick<Pair, 'caption' | 'modality' | 'concepts'>[], label: string): Record<string, number> {
  const rows = pairs.filter(pair => (labelOf(pair) ?? 'unlabelled') === label).map(pair => modalityOf(pair.caption));
  const count = (name: string): number => rows.filter(row => row === name).length;
  const named = rows.length - count('unknown');
  const agreeing = count(label === 'unlabelled' ? 'unknown' : label);
  return {
    pairs: rows.length,
    agreeing,
    agreeing_share: label === 'unlabelled' ? (rows.length === 0 ? NaN : agreeing / rows.length) : named === 0 ? NaN : agreeing / named,
    left_out: count('ultrasound') + count('fluoroscopy'),
    ...Object.fromEntries(modalityNames.map(name => [`rule_${name.replace(/\W+/g, '_')}`, count(name)])),
  };
}
