/** Lines and points over two axes. */
import { type Scale, makeScale, showable } from './scale.ts';
import { type Axis, type Box, coordinate, document, element, palette, plotBox, tickWidth, xAxis, yAxis } from './svg.ts';

export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  /** Ends of an error bar, or of the band of a series with `band`. */
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  readonly name: string;
  /** In drawing order. Points that the axes cannot show (not finite, not positive on a log axis) break the line. */
  readonly points: readonly ChartPoint[];
  /** `line`, `points` or `both`; default `both`. */
  readonly draw?: 'line' | 'points' | 'both';
  readonly dashed?: boolean;
  /** `low` and `high` as a shaded band instead of bars. */
  readonly band?: boolean;
  /** Index into the palette, or `text` for the text's colour; default the series' place. Equal indices share marker shapes. */
  readonly colour?: number | 'text';
  /** Default true. */
  readonly inLegend?: boolean;
}

export interface LineChart {
  readonly title?: string;
  readonly subtitle?: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Pixels at full size; the picture scales. Default 760 × 440. */
  readonly width?: number;
  readonly height?: number;
}

/** A chart as SVG text; equal input gives equal bytes. */
export function lineChart(chart: LineChart): string {
  const { width = 760, height = 440 } = chart;
  const kinds = { x: chart.x.scale ?? 'linear', y: chart.y.scale ?? 'linear' } as const;
  const visible = chart.series.flatMap(({ points }) => points).filter(({ x, y }) => showable(kinds.x, x) && showable(kinds.y, y));
  const ys = visible.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]);
  const y = makeScale(kinds.y, ys, 6, chart.y.min, chart.y.max);
  const legend = chart.series
    .map((series, place) => ({ name: series.name, key: legendKey(series, place), shown: series.inLegend ?? true }))
    .filter(({ shown }) => shown);
  const frame = {
    title: chart.title,
    subtitle: chart.subtitle,
    width,
    height,
    xLabel: chart.x.label,
    yLabel: chart.y.label,
    legend,
  };
  const box = plotBox(frame, tickWidth(y));
  const x = makeScale(
    kinds.x,
    visible.map((point) => point.x),
    Math.max(2, Math.floor(box.width / 80)),
    chart.x.min,
    chart.x.max,
  );
  const plot = chart.series.map((series, place) => drawSeries(series, place, x, y, box)).join('');
  return document(frame, box, plot, xAxis(x, box) + yAxis(y, box));
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

function drawSeries(series: Series, place: number, x: Scale, y: Scale, box: Box): string {
  const down = (value: number): number => (1 - y.place(value)) * box.height;
  const end = (value: number | undefined): number | undefined => {
    if (value === undefined || Number.isNaN(value)) return undefined;
    return showable(y.kind, value) ? down(value) : value > 0 ? -10 : box.height + 10;
  };
  const runs: Place[][] = [[]];
  for (const point of series.points) {
    if (showable(x.kind, point.x) && showable(y.kind, point.y)) {
      runs.at(-1)!.push({ x: x.place(point.x) * box.width, y: down(point.y), low: end(point.low), high: end(point.high) });
    } else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  const colour = colourOf(series, place);
  const draw = series.draw ?? 'both';
  const parts: string[] = [];
  for (const run of runs) {
    if (series.band === true) parts.push(bandOf(run, colour));
    if (draw !== 'points' && run.length > 1) {
      parts.push(
        element('path', {
          d: path(run),
          fill: 'none',
          stroke: colour,
          'stroke-width': 2,
          'stroke-dasharray': dash(series),
          'stroke-linejoin': 'round',
        }),
      );
    }
    for (const point of run) {
      if (series.band !== true) parts.push(errorBar(point, colour));
      if (draw !== 'line') parts.push(marker(shapeOf(series, place), point.x, point.y, colour));
    }
  }
  return parts.join('');
}

function bandOf(run: readonly Place[], colour: string): string {
  const whole = run.filter((point) => point.low !== undefined && point.high !== undefined);
  if (whole.length < 2) return '';
  const upper = whole.map((point) => ({ x: point.x, y: point.high! }));
  const lower = whole.map((point) => ({ x: point.x, y: point.low! })).reverse();
  return element('path', { d: `${path([...upper, ...lower])}Z`, fill: colour, opacity: 0.18, stroke: 'none' });
}

function errorBar({ x, low, high }: Place, colour: string): string {
  if (low === undefined || high === undefined) return '';
  const cap = (y: number): string => `M${coordinate(x - 4)} ${coordinate(y)}H${coordinate(x + 4)}`;
  return element('path', {
    d: `M${coordinate(x)} ${coordinate(low)}V${coordinate(high)}${cap(low)}${cap(high)}`,
    fill: 'none',
    stroke: colour,
    'stroke-width': 1.3,
  });
}

function path(points: readonly { readonly x: number; readonly y: number }[]): string {
  return points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${coordinate(x)} ${coordinate(y)}`).join('');
}

function colourOf(series: Series, place: number): string {
  return series.colour === 'text' ? 'currentColor' : palette[(series.colour ?? place) % palette.length]!;
}

function dash(series: Series): string | undefined {
  return series.dashed === true ? '6 4' : undefined;
}

const shapes = ['circle', 'square', 'triangle', 'diamond'] as const;
type Shape = (typeof shapes)[number];

/** Shapes change with the colour, so that the chart can be read without colours. */
function shapeOf(series: Series, place: number): Shape {
  return shapes[(typeof series.colour === 'number' ? series.colour : place) % shapes.length]!;
}

function marker(shape: Shape, x: number, y: number, colour: string): string {
  const style = { fill: colour, stroke: 'none' };
  switch (shape) {
    case 'circle':
      return element('circle', { cx: x, cy: y, r: 3.8, ...style });
    case 'square':
      return element('rect', { x: x - 3.5, y: y - 3.5, width: 7, height: 7, ...style });
    case 'triangle':
      return element('path', {
        d: `${path([
          { x, y: y - 4.8 },
          { x: x + 4.6, y: y + 3.4 },
          { x: x - 4.6, y: y + 3.4 },
        ])}Z`,
        ...style,
      });
    case 'diamond':
      return element('path', {
        d: `${path([
          { x, y: y - 5 },
          { x: x + 5, y },
          { x, y: y + 5 },
          { x: x - 5, y },
        ])}Z`,
        ...style,
      });
  }
}

function legendKey(series: Series, place: number): string {
  const colour = colourOf(series, place);
  const draw = series.draw ?? 'both';
  const band = series.band === true ? element('rect', { x: 0, y: -6, width: 26, height: 12, fill: colour, opacity: 0.18 }) : '';
  const line =
    draw === 'points'
      ? ''
      : element('line', { x1: 0, x2: 26, y1: 0, y2: 0, stroke: colour, 'stroke-width': 2, 'stroke-dasharray': dash(series) });
  return band + line + (draw === 'line' ? '' : marker(shapeOf(series, place), 13, 0, colour));
}
