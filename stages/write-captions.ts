import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Let an encoder–decoder write captions of images, greedily or with beams.',
  params: z.strictObject({
    split: z.enum(['train', 'validation', 'test']).default('test'),
    /** Images, drawn by seed. */
    count: z.int().positive().default(20),
    seed: z.int().default(1),
    /** Captions kept at once; 1 is greedy. */
    beams: z.int().min(1).max(64).default(1),
    /** A finished caption's score is its log-probability over its length to this power. */
    lengthPower: z.number().min(0).default(0),
  }),
  inputs: { model: 'folder', images: 'folder', tokens: 'folder' },
  outputs: { captions: 'file', metrics: 'metrics' },
  async check({ inputs: { model } }) {
    if (typeof model !== 'string') return [];
    const { writingProblem } = await import('../src/study/nn/given-models.ts');
    const problem = await writingProblem(model);
    return problem === null ? [] : [{ input: 'model', ...problem }];
  },
  async run({ params, inputs, outputs, report, signal, resources, backend: choice }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { detokenize } = await import('../src/study/text/tokenizer.ts');
    const { captionScorer, nextOf } = await import('../src/study/nn/caption-scores.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { checkModelFits, drawRows, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { checkWrites } = await import('../src/study/nn/given-models.ts');
    const { writeCaption } = await import('../src/study/nn/generate.ts');
    const { loadModel } = await import('../src/study/nn/model-folder.ts');
    const { textShape, wholeReading } = await import('../src/study/nn/reading.ts');

    const { config, weights, reading = wholeReading } = await loadModel(inputs.model);
    checkWrites(config);
    const images = await openImages(inputs.images);
    try {
      const tokens = await openTokens(inputs.tokens);
      checkModelFits(config, images, tokens);
      const rows = drawRows(rowsOfSplit(images, tokens, params.split), params.count, params.seed, 'captions');
      const backend = await openBackend(choice, { threads: resources.cpu, gpus: resources.gpus, note: report.note });
      report.platform({ backend: backend.label, threads: backend.threads, device: backend.device });
      const scorer = captionScorer(backend, config, weights, params.beams, reading);
      const spelled = (ids: readonly number[]): string =>
        tokens.mapping === undefined && tokens.vocabulary < 49408
          ? ids.join(' ')
          : detokenize(ids.map((id) => tokens.mapping?.[id] ?? id).filter((id) => id >= 0));
      try {
        const limit = textShape(config, reading.text).tokens;
        const written = Array.from(rows, (row, index) => {
          signal.throwIfAborted();
          report.progress(index / rows.length, { step: index, total: rows.length, unit: 'captions' });
          const next = nextOf(scorer, config, images, tokens, row, params.beams, reading);
          const { beams, lengthPower } = params;
          const found = writeCaption(next, { start: tokens.start, end: tokens.end, limit, beams, lengthPower });
          const own = tokens.ids.subarray(row * tokens.context, row * tokens.context + tokens.lengths[row]!);
          return { id: images.rows[row]!.id, written: spelled(found.tokens), caption: spelled([...own]), log_probability: found.logProbability, tokens: found.tokens.length };
        });
        await writeFile(outputs.captions, written.map((line) => `${JSON.stringify(line)}\n`).join(''));
        const mean = (of: (line: (typeof written)[number]) => number): number => written.reduce((sum, line) => sum + of(line), 0) / written.length;
        const metrics = [
          { metric: 'log_probability', value: mean((line) => line.log_probability) },
          { metric: 'tokens_written', value: mean((line) => line.tokens) },
          { metric: 'exact', value: mean((line) => Number(line.written === line.caption)) },
        ];
        await writeFile(outputs.metrics, metricLines(metrics));
        report.note(`${written.length} captions, for example: ${written[0]!.written.slice(0, 120)}`);
      } finally {
        scorer.dispose();
      }
    } finally {
      images.close();
    }
  },
});
