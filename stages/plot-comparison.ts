import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Bars of compared models with their intervals, and the answer in a sentence.',
  params: z
    .strictObject({
      /** The axis whose values are the bars. */
      axis: z.string(),
      /** The value that is the reference, or in `against` the axis that says for each comparison which one is. */
      reference: z.union([z.string(), z.number()]).nullable().default(null),
      against: z.string().nullable().default(null),
      /** A second axis, whose values are bars side by side, each compared within itself; null for none. */
      by: z.string().nullable().default(null),
      metric: z.string().default('recall_at_10'),
      better: z.enum(['higher', 'lower']).default('higher'),
      title: z.string(),
      label: z.string(),
      /** What the models are, for the sentence. */
      subject: z.string().default('models'),
      /** Differences count where Holm's corrected p is at most this. */
      alpha: z.number().gt(0).lt(1).default(0.05),
      /** Costs are matched where they differ by at most this share. */
      tolerance: z.number().min(0).lt(1).default(0.05),
    })
    .refine(({ reference, against }) => (reference === null) !== (against === null), { path: ['reference'], message: 'say either the reference, or in against the axis whose values are references' }),
  inputs: { comparisons: 'metrics[]' },
  outputs: { plot: 'file', answer: 'file' },
  async run({ params, inputs, outputs, report }) {
    const { barChart } = await import('../src/chart/bar-chart.ts');
    const { isShare } = await import('../src/study/eval/metrics.ts');
    const { readMetrics } = await import('../src/study/metric-lines.ts');
    const { comparisonAnswer } = await import('../src/study/eval/comparison-answer.ts');
    const { costNames, matchedCosts, shownAs } = await import('../src/study/eval/matched-costs.ts');

    const rows = await Promise.all(
      inputs.comparisons.flatMap(({ point, path }) => (path === null ? [] : [{ point, path }])).map(async ({ point, path }) => {
        const metrics = await readMetrics(path);
        const of = (suffix: string): number => metrics.get(`${params.metric}${suffix}`) ?? NaN;
        const [name, group] = [String(point[params.axis]), params.by === null ? '' : String(point[params.by])];
        const ratios = Object.fromEntries(costNames.flatMap((cost) => (metrics.has(`${cost}_ratio`) ? [[cost, metrics.get(`${cost}_ratio`)!]] : [])));
        const reference = String(params.against === null ? params.reference : point[params.against]);
        return { name, group, reference, ratios, runs: metrics.get('runs'), folds: metrics.get('folds') ?? 1, level: metrics.get('level'), mean: of(''), low: of('_low'), high: of('_high'), chance: of('_chance'), difference: of('_difference'), p: of('_p') };
      }),
    );
    const names = [...new Set(rows.map(({ name }) => name))];
    const groups = [...new Set(rows.map(({ group }) => group))];
    const references = [...new Set(rows.map(({ reference }) => reference))];
    const { better, subject, alpha, metric, label } = params;
    // The axis has the label; a legend with it as well is too long to be read.
    const titled = (group: string): string => (params.by === null ? label : `${params.by} ${group}`);
    // The same for all, but where equal captions are more in one test set than in another.
    const chances = rows.flatMap(({ chance }) => (Number.isFinite(chance) ? [chance] : []));
    const [least, most] = [Math.min(...chances), Math.max(...chances)];
    const plot = barChart({
      title: params.title,
      subtitle: shownAs(rows, params.tolerance),
      categories: names,
      x: params.axis,
      y: { label },
      ...(chances.length === 0 ? {} : { reference: { value: chances.reduce((sum, chance) => sum + chance, 0) / chances.length, name: most > 1.05 * least ? 'chance, on average' : 'chance' } }),
      width: Math.max(760, 64 * names.length),
      series: groups.map((group) => {
        const found = names.map((name) => rows.find((row) => row.name === name && row.group === group));
        // An interval from few runs reaches further than a share can be: what is drawn ends there, while tables have all of it.
        const values = (of: 'mean' | 'low' | 'high'): number[] => found.map((row) => (isShare(metric) ? Math.min(1, Math.max(0, row?.[of] ?? NaN)) : (row?.[of] ?? NaN)));
        return { name: titled(group), values: values('mean'), low: values('low'), high: values('high') };
      }),
    });
    const said = groups.flatMap((group) =>
      references.map((reference) => {
        const compared = rows.filter((row) => row.group === group && row.reference === reference);
        const text = [comparisonAnswer(compared, { reference, better, subject, alpha, metric }), matchedCosts(compared, reference, params.tolerance)].filter((part) => part !== '').join(' ');
        return groups.length === 1 ? text : `With ${params.by} ${group}: ${text}`;
      }),
    );
    const answer = said.join('\n');
    await writeFile(outputs.plot, plot);
    await writeFile(outputs.answer, `${answer}\n`);
    report.note(answer);
  },
});
