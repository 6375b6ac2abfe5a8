/** Whether one model retrieves better than another on the same pairs, in the same pools: paired, by groups. */
import { positivesByKeys } from './positives.ts';
import { pooledRanks, recallCutoffs } from './retrieval.ts';
import { pairedBootstrap } from './significance.ts';
import type { BootstrapOptions, PairedDifference } from './significance.ts';
import type { EmbeddingPairs } from './similarity.ts';

export interface ComparedPairs extends EmbeddingPairs {
  readonly rows: readonly { readonly id: string; readonly group: string; readonly caption: string | null }[];
}

export interface RetrievalDifference extends PairedDifference {
  readonly metric: string;
}

/**
 * Differences of `recall_at_1`, `_5`, `_10` and `mean_reciprocal_rank`, each the mean of both ways for a pair, one model's less the
 * reference's. Groups are drawn with replacement; pools stay as they are, so that the interval is that of these candidates.
 * @throws RangeError where the two are not of the same pairs in the same order
 */
export function pairedRetrieval(own: ComparedPairs, reference: ComparedPairs, { pool, seed = 1, ...bootstrap }: BootstrapOptions & { readonly pool: number }): RetrievalDifference[] {
  const count = own.rows.length;
  const other = own.rows.findIndex(({ id }, row) => reference.rows[row]?.id !== id);
  if (other >= 0 || reference.rows.length !== count) {
    throw new RangeError(`row ${other >= 0 ? other : count} is ${own.rows[other]?.id ?? 'missing'} in one and ${reference.rows[other >= 0 ? other : count]?.id ?? 'missing'} in the other: embed the same pairs of the same split`);
  }
  // Captions that one of them cannot tell apart are equally right for both.
  const positives = positivesByKeys(count, own.rows.map(({ caption }) => caption ?? ''), reference.rows.map(({ caption }) => caption ?? ''));
  const [ours, theirs] = [own, reference].map((pairs) => pooledRanks(pairs, { pool, seed, positives })) as [ReturnType<typeof pooledRanks>, ReturnType<typeof pooledRanks>];
  const groups = Array.from(ours.rows, (row) => own.rows[row]!.group);
  const measures: readonly (readonly [string, (rank: number) => number])[] = [
    ...recallCutoffs.map((cutoff) => [`recall_at_${cutoff}`, (rank: number) => Number(rank <= cutoff)] as const),
    ['mean_reciprocal_rank', (rank) => 1 / rank],
  ];
  return measures.map(([metric, of]) => {
    const both = ({ imageToText, textToImage }: typeof ours): Float64Array => imageToText.map((rank, row) => (of(rank) + of(textToImage[row]!)) / 2);
    return { metric, ...pairedBootstrap(both(ours), both(theirs), groups, { seed, ...bootstrap }) };
  });
}
