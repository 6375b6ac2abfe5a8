/** The picture of a scaling law: loss against compute, the law of each size, and the frontier. */
import { type Series, lineChart } from '../../chart/line-chart.ts';
import { formatNumber } from '../../chart/scale.ts';
import { predictLoss } from './chinchilla.ts';
import { type CostLaw, computeOptimum } from './compute-optimal.ts';
import type { ScalingLawFit } from './fit.ts';

export interface PlottedRun {
  readonly n: number;
  readonly d: number;
  readonly loss: number;
  /** FLOP of the whole run. */
  readonly compute: number;
}

export interface LawPlotOptions {
  readonly title?: string;
  /** A dashed line at the loss of an untrained model, ln of the pool. */
  readonly chance?: number;
}

/** SVG text. Points are runs, curves the law at each size, the dashed line the least loss at each compute with its interval. */
export function plotScalingLaw(
  runs: readonly PlottedRun[],
  fit: ScalingLawFit,
  cost: CostLaw,
  options: LawPlotOptions = {},
): string {
  const sizes = [...new Set(runs.map(({ n }) => n))].sort((a, b) => a - b);
  const compute = runs.map((run) => run.compute);
  const from = Math.min(...compute);
  const to = Math.max(...compute);
  const series: Series[] = sizes.flatMap((n, colour): Series[] => {
    const own = runs.filter((run) => run.n === n);
    const perSample = own.reduce((sum, run) => sum + run.compute / run.d, 0) / own.length;
    const curve = logSteps(Math.min(...own.map((run) => run.compute)), Math.max(...own.map((run) => run.compute)), 40);
    return [
      { name: `N = ${formatNumber(n)}`, colour, draw: 'points', points: own.map((run) => ({ x: run.compute, y: run.loss })) },
      {
        name: `law at ${n}`,
        colour,
        draw: 'line',
        inLegend: false,
        points: curve.map((c) => ({ x: c, y: predictLoss(fit, n, c / perSample) })),
      },
    ];
  });
  const frontier = logSteps(from, to, 60).map((c) => {
    const losses = fit.samples.map((sample) => computeOptimum(sample, cost, c).loss).sort((a, b) => a - b);
    const at = (p: number): number | undefined => losses[Math.round(p * (losses.length - 1))];
    return { x: c, y: computeOptimum(fit, cost, c).loss, low: at((1 - fit.level) / 2), high: at((1 + fit.level) / 2) };
  });
  series.push({ name: 'best at this compute', colour: 'text', draw: 'line', dashed: true, band: true, points: frontier });
  if (options.chance !== undefined) {
    const points = [from, to].map((x) => ({ x, y: options.chance! }));
    series.push({ name: 'chance', colour: 6, draw: 'line', dashed: true, points });
  }
  const number = (value: number): string => Number(value.toPrecision(3)).toString();
  return lineChart({
    title: options.title ?? 'Loss against compute',
    subtitle: `L = ${number(fit.E)} + ${number(fit.A)}·N^−${number(fit.alpha)} + ${number(fit.B)}·D^−${number(fit.beta)}`,
    x: { label: 'training compute (FLOP)', scale: 'log' },
    y: { label: 'contrastive loss (nats)', scale: 'log' },
    series,
  });
}

function logSteps(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from * (to / from) ** (i / (count - 1)));
}
