import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Bars of compared models with their intervals, and the answer in a sentence.',
  params: z.strictObject({
    /** The axis whose values are the bars, and the one that is the reference. */
    axis: z.string(),
    reference: z.union([z.string(), z.number()]),
    metric: z.string().default('recall_at_10'),
    better: z.enum(['higher', 'lower']).default('higher'),
    title: z.string(),
    label: z.string(),
    /** What the models are, for the sentence. */
    subject: z.string().default('models'),
    /** Differences count where Holm's corrected p is at most this. */
    alpha: z.number().gt(0).lt(1).default(0.05),
  }),
  inputs: { comparisons: 'metrics[]' },
  outputs: { plot: 'file', answer: 'file' },
  async run({ params, inputs, outputs, report }) {
    const { barChart } = await import('../src/chart/bar-chart.ts');
    const { readMetrics } = await import('../src/study/metric-lines.ts');
    const { comparisonAnswer } = await import('../src/study/eval/comparison-answer.ts');

    const rows = await Promise.all(
      inputs.comparisons.flatMap(({ point, path }) => (path === null ? [] : [{ name: String(point[params.axis]), path }])).map(async ({ name, path }) => {
        const metrics = await readMetrics(path);
        const of = (suffix: string): number => metrics.get(`${params.metric}${suffix}`) ?? NaN;
        return { name, mean: of(''), low: of('_low'), high: of('_high'), difference: of('_difference'), p: of('_p') };
      }),
    );
    const plot = barChart({
      title: params.title,
      categories: rows.map(({ name }) => name),
      x: params.axis,
      y: { label: params.label },
      series: [{ name: params.label, values: rows.map(({ mean }) => mean), low: rows.map(({ low }) => low), high: rows.map(({ high }) => high) }],
    });
    const { reference, better, subject, alpha, metric } = params;
    const answer = comparisonAnswer(rows, { reference: String(reference), better, subject, alpha, metric });
    await writeFile(outputs.plot, plot);
    await writeFile(outputs.answer, `${answer}\n`);
    report.note(answer);
  },
});
