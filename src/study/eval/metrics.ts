/** Evaluation scores as metrics, by the names that tables and the scaling law read. */
import type { ContrastiveLoss } from './contrastive-loss.ts';
import { type RetrievalScores, recallCutoffs } from './retrieval.ts';

export interface NamedValue {
  readonly metric: string;
  readonly value: number;
}

/** `loss`, `loss_chance` and `pool`. */
export function lossMetrics({ loss, chance, pool }: ContrastiveLoss): NamedValue[] {
  return [
    { metric: 'loss', value: loss },
    { metric: 'loss_chance', value: chance },
    { metric: 'pool', value: pool },
  ];
}

/**
 * Recall at 1, 5 and 10 each way (`image_to_text_recall_at_1` …), their mean (`recall_at_1` …), chance (`chance_at_1` …),
 * median and reciprocal ranks, and the size of the pool.
 * @param suffix appended to each name, for example `_pool_100`
 */
export function retrievalMetrics(scores: RetrievalScores, suffix = ''): NamedValue[] {
  const metrics: NamedValue[] = [];
  const add = (metric: string, value: number): void => void metrics.push({ metric: metric + suffix, value });
  for (const cutoff of recallCutoffs) {
    const there = scores.imageToText.recall[cutoff];
    const back = scores.textToImage.recall[cutoff];
    add(`image_to_text_recall_at_${cutoff}`, there);
    add(`text_to_image_recall_at_${cutoff}`, back);
    add(`recall_at_${cutoff}`, (there + back) / 2);
    add(`chance_at_${cutoff}`, scores.chance[cutoff]);
  }
  for (const [name, direction] of [
    ['image_to_text', scores.imageToText],
    ['text_to_image', scores.textToImage],
  ] as const) {
    add(`${name}_median_rank`, direction.medianRank);
    add(`${name}_mean_reciprocal_rank`, direction.meanReciprocalRank);
  }
  add('chance_rank', scores.chanceRank);
  add('retrieval_pool', scores.pool);
  add('retrieval_pools', scores.pools);
  return metrics;
}

/** What guessing gives of a metric, by the names that evaluate and classify write; undefined where it is not known. */
export function chanceOf(metrics: ReadonlyMap<string, number>, metric: string): number | undefined {
  const recall = /^(?:image_to_text_|text_to_image_)?recall(_at_\d+(?:_pool_\d+)?)$/.exec(metric);
  if (recall !== null) return metrics.get(`chance${recall[1]}`);
  if (metric === 'loss' || metric === 'loss_calibrated') return metrics.get('loss_chance');
  if (metric === 'accuracy' || metric === 'balanced_accuracy') return metrics.get('chance');
  return metric === 'macro_auc' ? 0.5 : undefined;
}

/** Whether a metric is a share, from 0 to 1. */
export const isShare = (metric: string): boolean => /recall_at_|accuracy$|_auc$/.test(metric);
