import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: "Count what the caption rule says of the pairs that the source labels with one modality: a row of the agreement table.",
  params: z.strictObject({
    /** The source's label, as ROCOv2's authors and others set it by hand; `unlabelled` are the pairs without one. */
    label: z.enum(['ultrasound', 'fluoroscopy', 'ct', 'mri', 'x-ray', 'angiography', 'nuclear', 'unlabelled']),
  }),
  inputs: { pairs: 'folder' },
  outputs: { counts: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { agreement } = await import('../src/study/data/audit.ts');
    const { readPairs } = await import('../src/study/data/pairs.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const counts = agreement(await readPairs(inputs.pairs), params.label);
    await writeFile(outputs.counts, metricLines(Object.entries(counts).map(([metric, value]) => ({ metric, value }))));
    report.note(`${params.label}: ${counts['pairs']} pairs, of ${counts['agreeing']} the caption says the same, of ${counts['rule_unknown']} nothing; the rule leaves out ${counts['left_out']}`);
  },
});
