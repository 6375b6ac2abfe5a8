import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Fit the scaling law L = E + A·N^-α + B·D^-β to finished runs, with intervals, plot and answer.',
  params: z.strictObject({
    /** Where the Huber loss on log loss turns from squares to absolute values. */
    delta: z.number().positive().default(1e-3),
    /** Bootstrap replicates. */
    replicates: z.int().min(0).max(100_000).default(1000),
    seed: z.int().default(1),
    /** An axis whose values are test sets: replicates draw these first, and then runs of each. */
    blocks: z.string().default('fold'),
    /** Leaves out the runs with the highest losses. */
    dropHighest: z.int().min(0).default(0),
    /** Metrics of the runs: loss in nats, parameters N, pairs seen D, multiply–accumulates a pair. */
    loss: z.string().default('loss'),
    parameters: z.string().default('non_embedding_parameters'),
    pairs: z.string().default('pairs_seen'),
    macs: z.string().default('macs_per_pair'),
    /** Budgets, in FLOP, to answer for; default the largest of the runs and ten times that. */
    compute: z.array(z.number().positive()).optional(),
    title: z.string().default('Loss against compute'),
  }),
  inputs: { runs: 'metrics[]' },
  outputs: { law: 'file', plot: 'file', fit: 'metrics' },
  async run({ params, inputs, outputs, report, signal }) {
    const { jsonNumber, metricLines } = await import('../src/study/metric-lines.ts');
    const { collectRuns } = await import('../src/study/law/runs.ts');
    const { fitScalingLaw } = await import('../src/study/law/fit.ts');
    const { answerForCompute, answerSentence, fitCostLaw } = await import('../src/study/law/compute-optimal.ts');
    const { isoFlop } = await import('../src/study/law/isoflop.ts');
    const { plotScalingLaw } = await import('../src/study/law/plot.ts');
    const { lawMetrics } = await import('../src/study/law/metrics.ts');

    const names = { loss: params.loss, n: params.parameters, d: params.pairs, macs: params.macs };
    const { runs, leftOut } = await collectRuns(inputs.runs, names, params.blocks);
    for (const { cell, reason } of leftOut) report.note(`left out ${cell}: ${reason}`);
    signal.throwIfAborted();

    const { delta, replicates, seed, dropHighest } = params;
    const fit = fitScalingLaw(runs, { delta, replicates, seed, dropHighest });
    const cost = fitCostLaw(runs);
    const largest = Math.max(...runs.map(({ compute }) => compute));
    const answers = (params.compute ?? [largest, 10 * largest]).map((compute) => answerForCompute(fit, cost, compute));
    const sentences = answers.map((answer) => answerSentence(fit, answer));

    const { samples, points, ...summary } = fit;
    const law = {
      form: 'L = E + A·N^-alpha + B·D^-beta',
      ...summary,
      replicates: samples.length,
      cost,
      answers: answers.map((answer, i) => ({ ...answer, sentence: sentences[i] })),
      isoFlop: isoFlop(runs),
      points,
      leftOut,
    };
    const inJson = (_key: string, value: unknown): unknown => (typeof value === 'number' ? jsonNumber(value) : value);
    await writeFile(outputs.law, `${JSON.stringify(law, inJson, 2)}\n`);
    const chance = runs.find((run) => run.chance !== undefined)?.chance;
    await writeFile(
      outputs.plot,
      plotScalingLaw(runs, fit, cost, { title: params.title, ...(chance === undefined ? {} : { chance }) }),
    );
    const metrics = lawMetrics(fit, answers, leftOut.length);
    await writeFile(outputs.fit, metricLines(metrics));

    const { starts } = fit;
    report.note(
      `${points.length} runs, ${leftOut.length} left out; ${starts.agreeing} of ${starts.optimised} starts agree; ${samples.length} replicates`,
    );
    if (fit.onBound.length > 0) report.note(`on a bound: ${fit.onBound.join(', ')}`);
    for (const sentence of sentences.toReversed()) report.note(sentence);
  },
});
