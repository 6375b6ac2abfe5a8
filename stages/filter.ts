import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Choose which pairs a study leaves out by modality: all, permissive, strict, or as many at random.',
  params: z
    .strictObject({
      /** `permissive` leaves out ultrasound and fluoroscopy, `strict` also what names no modality, `random` as many at random. */
      set: z.enum(['all', 'permissive', 'strict', 'random']).default('permissive'),
      /** Whose size the random set has, in each of the source's splits. */
      like: z.enum(['permissive', 'strict']).default('permissive'),
      /** Angiography is a class of its own: it is fluoroscopic, and kept unless said. */
      angiography: z.boolean().default(true),
      /** What counts: the source's own label, the caption's words, the concept ids (for ultrasound and fluoroscopy), in this order. */
      evidence: z.array(z.enum(['source', 'caption', 'concepts'])).min(1).default(['source', 'caption', 'concepts']),
      seed: z.int().default(1),
    })
    .refine(({ evidence }) => new Set(evidence).size === evidence.length, { path: ['evidence'], message: 'names one twice' }),
  inputs: { pairs: 'folder', leaks: 'file?' },
  outputs: { dropped: 'file', counts: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { filterPairs } = await import('../src/study/data/filter.ts');
    const { readLeftOut } = await import('../src/study/data/left-out.ts');
    const { readPairs, writeJsonLines } = await import('../src/study/data/pairs.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const leaks = inputs.leaks === undefined ? [] : await readLeftOut(inputs.leaks);
    const { kept, dropped, counts } = filterPairs(await readPairs(inputs.pairs), leaks, params);
    await writeJsonLines(outputs.dropped, dropped);
    await writeFile(outputs.counts, metricLines(Object.entries(counts).map(([metric, value]) => ({ metric, value }))));
    const leaked = leaks.length === 0 ? '' : `, ${leaks.length} of them leaks`;
    report.note(`${params.set}: ${kept.length} of ${counts['pairs']} pairs kept, ${dropped.length} left out${leaked}; ${counts['dropped_ultrasound']} are ultrasound, ${counts['dropped_fluoroscopy']} fluoroscopy`);
  },
});
