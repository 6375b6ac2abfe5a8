import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Contrastive loss and retrieval both ways on fixed seeded pools, beside chance, from embeddings.',
  params: z.strictObject({
    /** Candidates that a query has; loss and recall depend on it. */
    pool: z.int().min(2).default(256),
    /** Retrieval at further sizes of the pool, as `recall_at_10_pool_100`. */
    pools: z.array(z.int().min(2)).default([]),
    seed: z.int().default(1),
    split: z.enum(['train', 'validation', 'test']).default('test'),
    /** Also the loss at the logit scale that is best on the split `validation`: ranking without over-confidence. */
    calibrate: z.boolean().default(false),
  }),
  inputs: { embeddings: 'folder' },
  outputs: { metrics: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { calibrateLogitScale } = await import('../src/study/eval/calibrate.ts');
    const { contrastiveLoss } = await import('../src/study/eval/contrastive-loss.ts');
    const { EmbeddingFolderError, embeddingsOfSplit, readEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { lossMetrics, retrievalMetrics } = await import('../src/study/eval/metrics.ts');
    const { positivesByKeys } = await import('../src/study/eval/positives.ts');
    const { scoreRetrieval } = await import('../src/study/eval/retrieval.ts');

    const captioned = <T extends { readonly rows: readonly { readonly caption: string | null; readonly split: string }[] }>(some: T): T => {
      const without = some.rows.find(({ caption }) => caption === null);
      if (without === undefined) return some;
      throw new EmbeddingFolderError(`only the images of the split "${without.split}" are embedded: take it out of imagesOnly of the stage embed`);
    };
    const stored = await readEmbeddings(inputs.embeddings);
    const { logitScale, kind, facts } = stored;
    const { pool, pools, seed, split } = params;
    const own = captioned(embeddingsOfSplit(stored, split));
    if (own.count < 2) throw new EmbeddingFolderError(`${own.count} pairs of the split "${split}" are embedded; retrieval needs at least 2: ask embed for them, pairs: { ${split}: all }`);
    if (own.count < pool) report.note(`${own.count} pairs of the split are embedded: the pool is that, not ${pool}`);
    let calibratedScale: number | null = null;
    if (params.calibrate) {
      if (kind === 'scores') throw new EmbeddingFolderError('a caption likelihood has no logit scale to calibrate: set calibrate: false');
      const held = captioned(embeddingsOfSplit(stored, 'validation'));
      if (held.count < 2) throw new EmbeddingFolderError(`calibration needs embedded pairs of the split "validation", and there are ${held.count}: ask embed for them, pairs: { validation: all, test: all }`);
      calibratedScale = calibrateLogitScale(held, pool, seed);
    }

    // Equal captions are equally right answers.
    const positives = positivesByKeys(own.count, own.rows.map(({ caption }) => caption!));
    const scores = scoreRetrieval(own, { pool, seed, positives });
    const loss = contrastiveLoss(own, logitScale, pool, seed);
    const calibrated = calibratedScale === null ? null : contrastiveLoss(own, calibratedScale, pool, seed).loss;
    const metrics = [
      ...lossMetrics(loss),
      ...(calibrated === null ? [] : [{ metric: 'loss_calibrated', value: calibrated }, { metric: 'logit_scale_calibrated', value: calibratedScale! }]),
      ...retrievalMetrics(scores),
      ...pools.flatMap((other) => retrievalMetrics(scoreRetrieval(own, { pool: other, seed, positives }), `_pool_${other}`)),
      ...facts,
      { metric: 'logit_scale', value: logitScale },
      { metric: 'evaluated_pairs', value: own.count },
    ];
    for (const { metric, value } of metrics) report.metric(metric, value);
    await writeFile(outputs.metrics, metricLines(metrics));
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const recall = (scores.imageToText.recall[10] + scores.textToImage.recall[10]) / 2;
    report.note(
      `loss ${loss.loss.toFixed(3)}${calibrated === null ? '' : `, calibrated ${calibrated.toFixed(3)}`} of ${loss.chance.toFixed(3)} by chance; R@10 in ${scores.pool} ${percent(recall)}, ` +
        `chance ${percent(scores.chance[10])}`,
    );
  },
});
