import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: "One model's retrieval beside a reference's on the same pairs: paired bootstrap over groups, from embeddings.",
  params: z.strictObject({
    pool: z.int().min(2).default(256),
    seed: z.int().default(1),
    split: z.enum(['train', 'validation', 'test']).default('test'),
    /** Draws of groups. */
    replicates: z.int().min(1).default(10_000),
    level: z.number().gt(0).lt(1).default(0.95),
  }),
  inputs: { embeddings: 'folder', reference: 'folder' },
  outputs: { comparison: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { EmbeddingFolderError, embeddingsOfSplit, readEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { pairedRetrieval } = await import('../src/study/eval/paired-retrieval.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');

    const { pool, seed, split, replicates, level } = params;
    const read = async (folder: string) => {
      const own = embeddingsOfSplit(await readEmbeddings(folder), split);
      if (own.count >= 2 && own.rows.every(({ caption }) => caption !== null)) return own;
      throw new EmbeddingFolderError(`${folder}: ${own.rows.filter(({ caption }) => caption !== null).length} pairs of the split "${split}" are embedded with their captions; ask embed for them, pairs: { ${split}: all }, imagesOnly: []`);
    };
    const [own, reference] = [await read(inputs.embeddings), await read(inputs.reference)];
    const found = pairedRetrieval(own, reference, { pool, seed, replicates, level });
    const metrics = [
      ...found.flatMap(({ metric, difference, interval: [low, high], p }) => [
        { metric: `${metric}_difference`, value: difference },
        { metric: `${metric}_difference_low`, value: low },
        { metric: `${metric}_difference_high`, value: high },
        { metric: `${metric}_p`, value: p },
      ]),
      { metric: 'groups', value: found[0]!.groups },
    ];
    for (const { metric, value } of metrics) report.metric(metric, value);
    await writeFile(outputs.comparison, metricLines(metrics));
    const { difference, interval: [low, high], p, groups } = found.find(({ metric }) => metric === 'recall_at_10')!;
    const points = (share: number): string => (100 * share).toFixed(1);
    report.note(`recall at 10 differs by ${points(difference)} points (${points(low)} to ${points(high)}), p ${p.toPrecision(2)}, over ${groups} groups`);
  },
});
