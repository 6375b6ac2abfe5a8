import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Write pairs as a plain folder of images with captions.jsonl, for other programs and for load-folder.',
  params: z.strictObject({
    /** At most so many pairs, drawn at random. */
    limit: z.int().positive().nullable().default(null),
    seed: z.int().default(1),
  }),
  inputs: { pairs: 'folder' },
  outputs: { folder: 'folder' },
  async run({ params, inputs, outputs, report, signal }) {
    const { exportPairs } = await import('../src/study/data/export.ts');
    const count = await exportPairs(inputs.pairs, outputs.folder, params.limit, params.seed, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    report.metric('images', count);
    report.note(`${count} images with captions.jsonl`);
  },
});
