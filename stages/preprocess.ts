import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Choose pairs, split them by group, and decode their images into uint8 shards.',
  params: z
    .strictObject({
      /** Pixels of a side. */
      resolution: z.int().min(8).max(1024).default(64),
      /** `crop` fills the square and cuts, `pad` keeps all of the image between black bars. */
      fit: z.enum(['crop', 'pad']).default('pad'),
      /** `source` keeps the splits of the data set, `group` draws new ones by article or case inside what is at hand. */
      splitBy: z.enum(['source', 'group']).default('source'),
      validation: z.number().min(0).max(0.9).default(0.1),
      test: z.number().min(0).max(0.9).default(0.1),
      /** With `splitBy: group`: k-fold instead of shares; `fold` is the test set, the next one validation. */
      folds: z.int().min(3).max(100).nullable().default(null),
      fold: z.int().min(0).default(0),
      seed: z.int().default(1),
      /** At most so many training pairs; validation and test stay whole. */
      limit: z.int().positive().nullable().default(null),
    })
    .refine(({ validation, test }) => validation + test < 1, { path: ['test'], message: 'validation and test must add up to less than 1' })
    .refine(({ folds, fold }) => folds === null || fold < folds, { path: ['fold'], message: 'fold counts from 0 and must be less than folds' })
    .refine(({ folds, fold }) => folds !== null || fold === 0, { path: ['fold'], message: 'without folds there is only fold 0: say in how many parts groups are cut' })
    .refine(({ splitBy, folds }) => folds === null || splitBy === 'group', { path: ['folds'], message: 'folds need splitBy: group' }),
  inputs: { pairs: 'folder', dropped: 'file?', groups: 'file?' },
  outputs: { images: 'folder', captions: 'file', report: 'metrics' },
  async run({ params, inputs, outputs, report, signal, resources }) {
    const { preprocess } = await import('../src/study/data/preprocess.ts');
    const { writeJsonLines } = await import('../src/study/data/pairs.ts');
    const started = performance.now();
    const summary = await preprocess({ ...inputs, images: outputs.images, captions: outputs.captions }, params, {
      cores: resources.cpu,
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, rate: (done * 1000) / (performance.now() - started), unit: 'images' }),
    });
    await writeJsonLines(outputs.report, Object.entries(summary.counts).map(([metric, value]) => ({ metric, value })));
    for (const name of ['images', 'train', 'validation', 'test', 'broken', 'left_out']) report.metric(name, summary.counts[name] ?? 0);
    if (summary.broken > 0) report.note(`${summary.broken} images do not decode; images/report.json names each`);
    report.note(`${summary.images} images: ${['train', 'validation', 'test'].map(split => `${summary.counts[split] ?? 0} ${split}`).join(', ')}`);
  },
});
