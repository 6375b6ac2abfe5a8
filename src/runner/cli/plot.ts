/** `pipe plot`: metrics as a chart, in the terminal and as SVG. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Option } from 'commander';
import { lineChart } from '../../chart/line-chart.ts';
import { terminalPlot } from '../../chart/terminal.ts';
import { PipeError } from '../diagnostic.ts';
import type { Json } from '../json.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { formatPoint } from '../pipeline/cell-id.ts';
import { resultRows, valueOf } from '../report/result-rows.ts';
import type { ResultRow } from '../report/result-rows.ts';
import { metricsOf } from '../store/history.ts';
import { shownPath } from '../ui/lines.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';
import type { Session } from './session.ts';

interface PlotOptions extends PipelineOptions {
  readonly x?: string;
  readonly y?: string;
  readonly by?: string;
  readonly logX?: boolean;
  readonly logY?: boolean;
  readonly output?: string;
  readonly format: 'text' | 'svg';
}

interface Series {
  readonly name: string;
  readonly points: { x: number; y: number }[];
}

export const plotCommand: CommandModule = {
  name: 'plot',
  register(program, context) {
    addPipelineOptions(program.command('plot').description('draw metrics: curves by step, or one metric over a param or another metric').argument('[file-or-target...]'))
      .option('--y <metric>', 'what goes up; a loss unless said')
      .option('--x <column>', '`step`, or a param, axis or metric', 'step')
      .option('--by <column>', 'one line for each value of it; each cell unless said')
      .option('--log-x', 'logarithmic')
      .option('--log-y', 'logarithmic')
      .option('-o, --output <path>', 'write SVG there')
      .addOption(new Option('--format <format>', 'what goes to stdout').choices(['text', 'svg']).default('text'))
      .action(async (words: string[], options: PlotOptions) => {
        await withReading(words, options, context, session => {
          const x = options.x ?? 'step';
          const rows = plottedRows(session);
          const y = options.y ?? usualMetric(rows);
          const series = x === 'step' ? curves(rows, y, options.by, session) : points(rows, x, y, options.by);
          const scale = (log: boolean | undefined): 'log' | 'linear' => (log ? 'log' : 'linear');
          const axes = { x: { label: x, scale: scale(options.logX) }, y: { label: y, scale: scale(options.logY) } };
          const svg = (): string => lineChart({ title: session.graph.title ?? session.graph.pipeline, ...axes, series: series.map(entry => ({ ...entry, draw: x === 'step' ? 'line' as const : 'both' as const })) });
          if (options.output !== undefined) {
            const path = resolve(context.cwd, options.output);
            writeFileSync(path, svg());
            if (!options.json) context.stderr.write(`${shownPath(path, context.cwd)}\n`);
          }
          if (options.json) context.stdout.write(`${JSON.stringify({ x, y, series })}\n`);
          else if (options.format === 'svg') context.stdout.write(svg());
          else context.stdout.write(`${terminalPlot({ ...axes, series: series.slice(0, 8), columns: Math.min(context.stdout.columns ?? 100, 120), rows: 24 })}\n`);
          if (options.format === 'text' && !options.json && series.length > 8) context.stderr.write(`the first 8 of ${series.length} series are shown: choose with a target or --by\n`);
        });
      });
  },
};

function plottedRows({ plan, store, graph, selected }: Session): ResultRow[] {
  const rows = resultRows(plan, store, selected ?? graph.cells.keys()).filter(row => row.attempt !== null);
  if (rows.every(row => Object.keys(row.metrics).length === 0)) {
    throw new PipeError('there are no metrics to draw yet', { exitCode: 1, code: 'no-metrics', hint: '`pipe run` makes them' });
  }
  return rows;
}

/** A loss if there is one, else the first metric. */
function usualMetric(rows: readonly ResultRow[]): string {
  const names = rows.flatMap(row => Object.keys(row.metrics));
  return names.find(name => name === 'loss') ?? names.find(name => name.includes('loss')) ?? names[0] ?? '';
}

function requireMetric(name: string, rows: readonly ResultRow[], found: boolean): void {
  if (found) return;
  const names = [...new Set(rows.flatMap(row => [...Object.keys(row.metrics), ...Object.keys(row.params), ...Object.keys(row.cell.point)]))];
  throw new PipeError(`no cell has numbers called ${name}`, { exitCode: 2, code: 'unknown-column', hint: suggestion(name, names, 'there are') });
}

const nameOf = (row: ResultRow, by: string | undefined): string =>
  by === undefined ? formatPoint(row.cell.point) || row.stage : `${by} ${text(valueOf(row, by))}`;

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null));

/** Values by step, one series a cell, or the cells of one `by` value after each other. */
function curves(rows: readonly ResultRow[], y: string, by: string | undefined, { store }: Session): Series[] {
  const series = rows.flatMap(row => {
    const values = metricsOf(store.database, row.attempt ?? -1).filter(metric => metric.name === y && metric.step !== null);
    return values.length === 0 ? [] : [{ name: nameOf(row, by), points: values.map(metric => ({ x: metric.step ?? 0, y: metric.value })) }];
  });
  if (series.length === 0 && rows.some(row => Object.hasOwn(row.metrics, y))) {
    throw new PipeError(`${y} has no values by step`, { exitCode: 2, code: 'no-curve', hint: `draw it over a param or another metric: --x COLUMN` });
  }
  requireMetric(y, rows, series.length > 0);
  return series;
}

/** One point a cell, sorted by x, one series for each value of `by`. */
function points(rows: readonly ResultRow[], x: string, y: string, by: string | undefined): Series[] {
  const series = new Map<string, { x: number; y: number }[]>();
  for (const row of rows) {
    const [a, b] = [valueOf(row, x), valueOf(row, y)];
    if (typeof a !== 'number' || typeof b !== 'number') continue;
    const name = by === undefined ? y : nameOf(row, by);
    series.set(name, [...(series.get(name) ?? []), { x: a, y: b }]);
  }
  requireMetric(x, rows, rows.some(row => typeof valueOf(row, x) === 'number'));
  requireMetric(y, rows, rows.some(row => typeof valueOf(row, y) === 'number'));
  return [...series].map(([name, list]) => ({ name, points: list.sort((a, b) => a.x - b.x) }));
}
