import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: "One kind of model's metrics beside the reference's: means, paired differences, intervals over seeds and folds.",
  params: z.strictObject({
    /** Axes in which the compared runs differ from the reference; runs that agree in all others are a pair. */
    axes: z.array(z.string()).min(1),
    metrics: z.array(z.string()).min(1).default(['loss', 'recall_at_10']),
    /** Passed on as they are, from the first run: what the model costs. Of parameters and compute also follows how many times the reference's. */
    facts: z.array(z.string()).default(['parameters', 'non_embedding_parameters', 'macs_per_pair', 'flops', 'pairs_seen']),
    level: z.number().gt(0).lt(1).default(0.95),
    /**
     * Of how many parts of one data set the values of the axis `fold` are test sets, each with another part for validation; null where
     * they are not. Intervals are then over folds, with the means of their seeds, and wider, as training sets overlap.
     */
    folds: z.int().min(3).nullable().default(null),
  }),
  inputs: { runs: 'metrics[]', reference: 'metrics[]' },
  outputs: { comparison: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { metricLines, readMetrics } = await import('../src/study/metric-lines.ts');
    const { chanceOf } = await import('../src/study/eval/metrics.ts');
    const { compareRuns } = await import('../src/study/eval/compare.ts');
    const { costNames } = await import('../src/study/eval/matched-costs.ts');

    const read = async (cells: typeof inputs.runs): Promise<{ block: string; fold: string; metrics: Map<string, number> }[]> => {
      const present = cells.flatMap(({ path, point }) => (path === null ? [] : [{ path, point }]));
      const lone = params.folds === null ? undefined : present.find(({ point }) => point['fold'] === undefined);
      if (lone !== undefined) throw new Error(`folds: ${params.folds} says that runs are folds, but these have no axis fold: ${Object.keys(lone.point).join(', ')}`);
      return Promise.all(
        present.map(async ({ path, point }) => ({
          block: JSON.stringify(Object.entries(point).filter(([axis]) => !params.axes.includes(axis))),
          fold: params.folds === null ? '' : String(point['fold']),
          metrics: await readMetrics(path),
        })),
      );
    };
    const [runs, reference] = [await read(inputs.runs), await read(inputs.reference)];
    if (runs.length === 0) throw new Error('no run has metrics to compare');
    const folds = new Set(runs.map(({ fold }) => fold)).size;
    // One part tests, one validates, the others train.
    const overlap = params.folds === null ? 0 : 1 / (params.folds - 2);
    const valued = (rows: typeof runs, name: string): { block: string; fold: string; value: number }[] =>
      rows.flatMap(({ block, fold, metrics }) => {
        const value = metrics.get(name);
        return value === undefined ? [] : [{ block, fold, value }];
      });
    const rows = params.metrics.flatMap((name) => {
      const own = valued(runs, name);
      if (own.length === 0) throw new Error(`no run has the metric ${name}; they have ${[...(runs[0]?.metrics.keys() ?? [])].join(', ')}`);
      const chances = runs.flatMap(({ metrics }) => chanceOf(metrics, name) ?? []);
      const result = compareRuns(own, valued(reference, name), { level: params.level, overlap });
      return [
        { metric: name, value: result.mean },
        { metric: `${name}_low`, value: result.low },
        { metric: `${name}_high`, value: result.high },
        { metric: `${name}_difference`, value: result.difference },
        { metric: `${name}_difference_low`, value: result.differenceLow },
        { metric: `${name}_difference_high`, value: result.differenceHigh },
        { metric: `${name}_p`, value: result.p },
        ...(chances.length === 0 ? [] : [{ metric: `${name}_chance`, value: chances.reduce((sum, chance) => sum + chance, 0) / chances.length }]),
      ];
    });
    const facts = params.facts.flatMap((name) => {
      const value = runs[0]?.metrics.get(name);
      return value === undefined ? [] : [{ metric: name, value }];
    });
    // Times the reference's, run by run: what the comparison is at equal amounts of.
    const partner = new Map(reference.map(({ block, metrics }) => [block, metrics]));
    const ratios = costNames.flatMap((name) => {
      const each = runs.flatMap(({ block, metrics }) => {
        const [own, other] = [metrics.get(name), partner.get(block)?.get(name)];
        return own === undefined || other === undefined || other === 0 ? [] : [own / other];
      });
      return each.length === 0 ? [] : [{ metric: `${name}_ratio`, value: each.reduce((sum, ratio) => sum + ratio, 0) / each.length }];
    });
    await writeFile(outputs.comparison, metricLines([{ metric: 'runs', value: runs.length }, { metric: 'folds', value: folds }, { metric: 'level', value: params.level }, ...facts, ...ratios, ...rows]));
    const [first] = params.metrics;
    const value = (suffix: string): string => rows.find(({ metric }) => metric === `${first}${suffix}`)!.value.toPrecision(3);
    report.note(`${first} ${value('')} (${value('_low')} to ${value('_high')}), ${value('_difference')} against the reference, p ${value('_p')}`);
  },
});
