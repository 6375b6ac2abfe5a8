import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Curves of the candidates of a halving, which were stopped at which rung and why, and the best in a sentence.',
  params: z.strictObject({
    /** The axis whose values are the candidates. */
    axis: z.string(),
    /** What the halving compares, and which way; its `metric` and `mode`. */
    metric: z.string().default('validation_loss'),
    better: z.enum(['higher', 'lower']).default('lower'),
    title: z.string(),
    /** What a rung counts, for the plot. */
    unit: z.string().default('pairs'),
    label: z.string(),
    /** What the candidates are, for the sentence. */
    subject: z.string().default('candidates'),
  }),
  inputs: { runs: 'metrics[]' },
  /** `decisions` is JSON: each candidate at each rung that it reached, its score and place, whether it went on, and why. */
  outputs: { plot: 'file', answer: 'file', decisions: 'file' },
  async run({ params, inputs, outputs, report }) {
    const { lineChart } = await import('../src/chart/line-chart.ts');
    const { readCurve } = await import('../src/study/metric-lines.ts');
    const { halvingAnswer, rungDecisions } = await import('../src/study/eval/halving-rungs.ts');

    const { axis, metric, better, subject } = params;
    const cells = await Promise.all(
      inputs.runs.map(async ({ point, path, status }) => {
        const candidate = point[axis];
        const rung = point['rung'];
        if (candidate === undefined || typeof rung !== 'number') throw new Error(`the runs have no axis ${axis} with rungs: they have ${Object.keys(point).join(', ')}`);
        const curve = path === null ? [] : await readCurve(path, metric);
        const name = typeof candidate === 'number' ? String(Number(candidate.toPrecision(4))) : String(candidate);
        return { candidate: name, rung, stopped: status === 'stopped', curve, score: curve.at(-1)?.value ?? null };
      }),
    );
    const candidates = [...new Set(cells.map(({ candidate }) => candidate))];
    const rungs = [...new Set(cells.map(({ rung }) => rung))].sort((a, b) => a - b);
    const decisions = rungDecisions(cells, { metric, better });
    const answer = halvingAnswer(decisions, candidates, { metric, subject });

    // A rung goes on from the one before: its curve begins where that one ended.
    const before = (rung: number): number => rungs.filter((one) => one < rung).reduce((sum, one) => sum + one, 0);
    const end = rungs.reduce((sum, one) => sum + one, 0);
    const plot = lineChart({
      title: params.title,
      x: { label: params.unit, scale: 'log' },
      y: { label: params.label },
      series: candidates.map((candidate) => {
        const points = cells
          .filter((cell) => cell.candidate === candidate)
          .toSorted((a, b) => a.rung - b.rung)
          .flatMap(({ rung, curve }) => curve.map(({ value, step }) => ({ x: before(rung) + (rung * step) / curve.at(-1)!.step, y: value })));
        const whole = Math.abs((points.at(-1)?.x ?? 0) - end) < 1e-6 * end;
        return { name: whole ? candidate : `${candidate} (stopped)`, points, draw: 'line' as const, dashed: !whole };
      }),
    });
    await writeFile(outputs.plot, plot);
    await writeFile(outputs.answer, `${answer}\n`);
    await writeFile(outputs.decisions, `${JSON.stringify({ metric, better, decisions }, null, 2)}\n`);
    report.note(answer);
  },
});
