import { tokenStatistics } from './statistics.ts';
import type { NamedValue } from './statistics.ts';
import { tokenize } from './tokenizer.ts';

/** Mean, quantiles (the value at place ⌊p·(n−1)⌋ of the sorted ones) and largest of some lengths. */
function lengthStatistics(name: string, lengths: readonly number[]): NamedValue[] {
  const sorted = Float64Array.from(lengths).sort();
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
  return [
    { metric: `${name}_mean`, value: sorted.reduce((sum, length) => sum + length, 0) / sorted.length },
    ...[50, 90, 95, 99].map(percent => ({ metric: `${name}_p${percent}`, value: at(percent / 100) })),
    { metric: `${name}_max`, value: at(1) },
  ];
}

/** Sizes of vocabularies for which the share of tokens that they cover is told. */
const vocabularies = [2000, 4000, 8000];

/**
 * How long captions are, in characters (code points), words (parts between white space) and CLIP's tokens; how many repeat an
 * earlier one; how many token ids they use, at least twice and five times, and what share of all tokens the most frequent ids
 * cover. `chars77` is what PubMedCLIP's code reads: the first 77 characters.
 */
export function captionStatistics(captions: readonly string[]): NamedValue[] {
  const uses = new Map<number, number>();
  const lengths = captions.map(caption => {
    const ids = tokenize(caption);
    for (const id of ids) uses.set(id, (uses.get(id) ?? 0) + 1);
    return ids.length;
  });
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const characters = captions.map(caption => [...caption].length);
  const beginnings = captions.map(caption => tokenize([...caption].slice(0, 77).join('')).length);
  const frequent = [...uses.values()].sort((a, b) => b - a);
  const covered = (most: number): number => frequent.slice(0, most).reduce((sum, count) => sum + count, 0) / total;
  return [
    { metric: 'duplicate_captions', value: captions.length - new Set(captions).size },
    ...lengthStatistics('characters', characters),
    ...lengthStatistics('words', captions.map(caption => caption.split(/\s+/).filter(word => word !== '').length)),
    ...tokenStatistics(lengths),
    { metric: 'distinct_tokens', value: uses.size },
    ...[2, 5].map(least => ({ metric: `tokens_used_${least}_times`, value: frequent.filter(count => count >= least).length })),
    ...vocabularies.map(size => ({ metric: `covered_by_${size}`, value: covered(size) })),
    { metric: 'chars77_truncated', value: characters.filter(length => length > 77).length / captions.length },
    { metric: 'chars77_tokens_kept', value: beginnings.reduce((sum, length) => sum + length, 0) / total },
    { metric: 'chars77_tokens_mean', value: beginnings.reduce((sum, length) => sum + length, 0) / captions.length },
    { metric: 'chars77_tokens_max', value: beginnings.reduce((most, length) => Math.max(most, length), 0) },
  ];
}
