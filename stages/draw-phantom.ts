import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Draw phantom images of anatomy with lesions, and captions of what they show.',
  params: z
    .strictObject({
      count: z.int().min(1).max(1_000_000).default(10_000),
      /** Pixels of a side; below 32 the fine words of a caption are no longer visible. */
      resolution: z.int().min(32).max(512).default(64),
      seed: z.int().default(1),
      /** `short` fits a context of 16 tokens, `long` needs 79 to 108 with start and end. */
      captions: z.enum(['short', 'long']).default('short'),
      /** With short captions: how many presentations (patient, tilt, lesion, device) each view has; default 10. More leave less to chance. */
      presentations: z.int().min(1).max(144).optional(),
      /** With short captions: a view's k-th presentation is as frequent as k^-tail; default 1, 0 for equal frequencies. */
      tail: z.number().min(0).max(10).optional(),
      validation: z.number().min(0).max(0.9).default(0.1),
      test: z.number().min(0).max(0.9).default(0.1),
    })
    .refine(({ validation, test }) => validation + test < 1, { path: ['test'], message: 'validation and test must add up to less than 1' })
    .refine(({ captions, presentations, tail }) => captions === 'short' || (presentations === undefined && tail === undefined), {
      path: ['captions'],
      message: 'presentations and tail shape short captions only; leave them out with long ones',
    }),
  inputs: {},
  outputs: { pairs: 'folder' },
  async run({ params, outputs, report, signal }) {
    const { drawPhantoms } = await import('../src/study/data/phantom.ts');
    const { countBy } = await import('../src/study/data/pairs.ts');
    const started = performance.now();
    const pairs = await drawPhantoms(outputs.pairs, params, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, rate: (done * 1000) / (performance.now() - started), unit: 'images' }),
    });
    report.metric('images', pairs.length);
    for (const [split, count] of Object.entries(countBy(pairs, pair => pair.split))) report.metric(split, count);
    report.note(`${pairs.length} phantom images of ${params.resolution} × ${params.resolution} pixels, ${params.captions} captions`);
  },
});
