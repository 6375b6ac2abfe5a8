import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Contrastive loss and retrieval both ways on fixed seeded pools, beside chance.',
  params: z.strictObject({
    /** Candidates that a query has; loss and recall depend on it. */
    pool: z.int().min(2).default(256),
    seed: z.int().default(1),
    split: z.enum(['train', 'validation', 'test']).default('test'),
    batch: z.int().positive().default(64),
    /** Also the loss at the logit scale that is best on the split `validation`: ranking without over-confidence. */
    calibrate: z.boolean().default(false),
    /** Only so many pairs of the split, drawn by `seed`; null for all. Models that score each pair apart take pool² passes. */
    limit: z.int().min(2).nullable().default(null),
    /** Of an encoder–decoder's log p(caption | image), how much of log p(caption) is taken off. */
    prior: z.number().min(0).max(1).default(1),
    /** Captions `as-trained`: reduced or in windows, as when the model was last trained; or `whole`. */
    read: z.enum(['as-trained', 'whole']).default('as-trained'),
  }),
  inputs: { model: 'folder', images: 'folder', tokens: 'folder' },
  outputs: { metrics: 'metrics', embeddings: 'folder' },
  async run({ params, inputs, outputs, report, signal, resources, backend: choice }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { calibrateLogitScale } = await import('../src/study/eval/calibrate.ts');
    const { contrastiveLoss } = await import('../src/study/eval/contrastive-loss.ts');
    const { lossMetrics, retrievalMetrics } = await import('../src/study/eval/metrics.ts');
    const { positivesByKeys } = await import('../src/study/eval/positives.ts');
    const { scoreRetrieval } = await import('../src/study/eval/retrieval.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { checkModelFits, drawRows, PairedDataError, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { captionScores } = await import('../src/study/nn/caption-scores.ts');
    const { embedder } = await import('../src/study/nn/embed.ts');
    const { floatBytes } = await import('../src/study/nn/float-bytes.ts');
    const { loadModel } = await import('../src/study/nn/model-folder.ts');
    const { attentionPairs, macsPerPair, modelSize, tokensPerPair } = await import('../src/study/nn/model-size.ts');
    const { textShape, wholeReading } = await import('../src/study/nn/reading.ts');

    const { config, training, weights, reading = wholeReading } = await loadModel(inputs.model);
    // Images are always seen whole, as patch dropout is for training alone.
    const asRead = { ...reading, text: params.read === 'whole' ? wholeReading.text : reading.text, image: wholeReading.image };
    const images = await openImages(inputs.images);
    try {
      const tokens = await openTokens(inputs.tokens);
      checkModelFits(config, reading.fit === undefined ? images : { resolution: config.image.resolution }, tokens);
      const all = rowsOfSplit(images, tokens, params.split);
      const rows = params.limit === null ? all : drawRows(all, params.limit, params.seed, 'evaluate');
      if (rows.length < 2) throw new PairedDataError(`the split "${params.split}" has ${rows.length} pairs; retrieval needs at least 2`);
      if (rows.length < params.pool) report.note(`the split has ${rows.length} pairs: the pool is that, not ${params.pool}`);
      const backend = await openBackend(choice, { threads: resources.cpu, gpus: resources.gpus, note: report.note });
      report.platform({ backend: backend.label, threads: backend.threads, device: backend.device });

      const started = performance.now();
      const decodes = config.decoder !== undefined;
      if (decodes && params.calibrate) throw new PairedDataError('a caption likelihood has no logit scale to calibrate: set calibrate: false');
      const embed = decodes ? null : embedder(backend, config, weights, images, tokens, Math.min(params.batch, rows.length), asRead);
      const { pool, seed } = params;
      const held = params.calibrate ? rowsOfSplit(images, tokens, 'validation') : [];
      if (params.calibrate && held.length < 2) throw new PairedDataError(`calibration needs pairs in the split "validation"; it has ${held.length}`);
      const total = rows.length + held.length;
      const watch = (before: number) => ({
        signal,
        progress(done: number) {
          const rate = (1000 * (before + done)) / (performance.now() - started);
          report.progress((before + done) / total, { step: before + done, total, rate, unit: 'pairs' });
        },
      });
      let embeddings;
      let calibratedScale: number | null = null;
      try {
        embeddings =
          embed === null
            ? await captionScores(backend, config, weights, images, tokens, rows, { batch: params.batch, reading: asRead, prior: params.prior, watch: watch(0) })
            : await embed.embed(rows, watch(0));
        if (params.calibrate) calibratedScale = calibrateLogitScale(await embed!.embed(held, watch(rows.length)), pool, seed);
      } finally {
        embed?.dispose();
      }

      // Equal captions are equally right answers.
      const captions = Array.from(rows, (row) => tokens.ids.subarray(row * tokens.context, (row + 1) * tokens.context).join());
      const scores = scoreRetrieval(embeddings, { pool, seed, positives: positivesByKeys(rows.length, captions) });
      // Log-likelihoods are logits as they are.
      const logitScale = decodes ? 1 : (config.logitFactor ?? 1) * Math.exp(weights.get('logit_scale')![0]!);
      const loss = contrastiveLoss(embeddings, logitScale, pool, seed);
      const calibrated = calibratedScale === null ? null : contrastiveLoss(embeddings, calibratedScale, pool, seed).loss;
      const size = modelSize(config);
      const metrics = [
        ...lossMetrics(loss),
        ...(calibrated === null ? [] : [{ metric: 'loss_calibrated', value: calibrated }, { metric: 'logit_scale_calibrated', value: calibratedScale! }]),
        ...retrievalMetrics(scores),
        { metric: 'parameters', value: size.parameters },
        { metric: 'non_embedding_parameters', value: size.nonEmbedding },
        { metric: 'trainable_parameters', value: size.trainable },
        { metric: 'macs_per_pair', value: macsPerPair(config, asRead) },
        { metric: 'text_tokens', value: tokensPerPair(config, asRead).text },
        { metric: 'attention_pairs', value: attentionPairs(config, textShape(config, asRead.text).tokens) * textShape(config, asRead.text).sequences },
        { metric: 'flops', value: training.flops },
        { metric: 'pairs_seen', value: training.pairs_seen },
        ...(training.text_tokens_seen === undefined ? [] : [{ metric: 'text_tokens_seen', value: training.text_tokens_seen }]),
        { metric: 'unique_pairs', value: training.unique_pairs },
        { metric: 'steps', value: training.steps },
        { metric: 'logit_scale', value: logitScale },
        { metric: 'evaluated_pairs', value: rows.length },
      ];
      for (const { metric, value } of metrics) report.metric(metric, value);
      await writeFile(outputs.metrics, metricLines(metrics));

      const { count, width } = embeddings;
      const about = { count, width, dtype: 'f32', ids: Array.from(rows, (row) => images.rows[row]!.id) };
      await writeFile(join(outputs.embeddings, 'embeddings.json'), `${JSON.stringify(about)}\n`);
      await writeFile(join(outputs.embeddings, 'image.f32'), floatBytes(embeddings.image));
      await writeFile(join(outputs.embeddings, 'text.f32'), floatBytes(embeddings.text));
      const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
      const recall = (scores.imageToText.recall[10] + scores.textToImage.recall[10]) / 2;
      report.note(
        `loss ${loss.loss.toFixed(3)}${calibrated === null ? '' : `, calibrated ${calibrated.toFixed(3)}`} of ${loss.chance.toFixed(3)} by chance; R@10 in ${scores.pool} ${percent(recall)}, ` +
          `chance ${percent(scores.chance[10])}`,
      );
    } finally {
      images.close();
    }
  },
});
