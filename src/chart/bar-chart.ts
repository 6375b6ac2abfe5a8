/** Bars by category, several series side by side. */
import { makeScale } from './scale.ts';
import { type Axis, type Box, baseline, coordinate, document, element, label, palette, plotBox, textWidth, tickWidth, yAxis } from './svg.ts';

export interface BarSeries {
  readonly name: string;
  /** One value a category; one that is not finite leaves a gap. */
  readonly values: readonly number[];
  /** Ends of error bars. */
  readonly low?: readonly number[];
  readonly high?: readonly number[];
}

export interface BarChart {
  readonly title?: string;
  readonly subtitle?: string;
  readonly categories: readonly string[];
  readonly x?: string;
  /** A linear axis; bars begin at zero. */
  readonly y: Omit<Axis, 'scale'>;
  readonly series: readonly BarSeries[];
  /** A dashed line across, for example chance. */
  readonly reference?: { readonly value: number; readonly name: string };
  readonly width?: number;
  readonly height?: number;
}

/** Of a category's name: pixels, and radians where names are tilted. */
const nameSize = 11.5;
const tilt = Math.PI / 6; // 30°

/** A chart as SVG text; equal input gives equal bytes. */
export function barChart(chart: BarChart): string {
  const { width = 760, height = 420, reference } = chart;
  const values = chart.series.flatMap(({ values, low = [], high = [] }) => [...values, ...low, ...high]);
  const all = [0, ...values, ...(reference === undefined ? [] : [reference.value])].filter(Number.isFinite);
  const y = makeScale('linear', all, 6, chart.y.min ?? (Math.min(...all) < 0 ? undefined : 0), chart.y.max);
  const legend = [
    ...(chart.series.length > 1
      ? chart.series.map(({ name }, i) => ({
          name,
          key: element('rect', { x: 6, y: -6, width: 14, height: 12, fill: colourAt(i) }),
        }))
      : []),
    ...(reference === undefined ? [] : [{ name: reference.name, key: referenceLine(0, 26, 0) }]),
  ];
  const frame = { title: chart.title, subtitle: chart.subtitle, width, height, xLabel: chart.x, yLabel: chart.y.label, legend };
  const widest = Math.max(0, ...chart.categories.map(name => textWidth(name, nameSize)));
  const wide = plotBox(frame, tickWidth(y));
  // Names that do not fit side by side are tilted, and have room below the bars.
  const tilted = widest + 6 > wide.width / Math.max(1, chart.categories.length);
  const box = tilted ? roomForTilted(wide, widest, textWidth(chart.categories[0] ?? '', nameSize)) : wide;
  const slot = box.width / Math.max(1, chart.categories.length);
  const bar = (slot * 0.76) / Math.max(1, chart.series.length);
  const down = (value: number): number => (1 - y.place(value)) * box.height;
  const bars = chart.categories.flatMap((_, category) =>
    chart.series.map((series, i) => {
      const value = series.values[category];
      if (value === undefined || !Number.isFinite(value)) return '';
      const x = slot * category + slot * 0.12 + bar * i;
      const top = Math.min(down(value), down(0));
      const rect = element('rect', {
        x: x + 0.5,
        y: top,
        width: Math.max(1, bar - 1),
        height: Math.abs(down(value) - down(0)),
        fill: colourAt(i),
      });
      return rect + errorBar(x + bar / 2, series.low?.[category], series.high?.[category], down);
    }),
  );
  const line =
    reference === undefined || !Number.isFinite(reference.value) ? '' : referenceLine(0, box.width, down(reference.value));
  const names = chart.categories.map((name, i) => {
    const x = box.left + slot * (i + 0.5);
    const y = box.top + box.height + (tilted ? 13 : 17);
    const place = tilted ? { x: x + 3, 'text-anchor': 'end', transform: `rotate(-30 ${coordinate(x + 3)} ${coordinate(y)})` } : { x, 'text-anchor': 'middle' };
    return label(name, { y, 'font-size': nameSize, opacity: 0.85, ...place });
  });
  return document(frame, box, bars.join('') + line, yAxis(y, box) + baseline(box) + names.join(''));
}

/** The box with room below for the widest name, and to the left for the first one, which ends under the first bar. */
function roomForTilted(box: Box, widest: number, first: number): Box {
  const more = Math.max(0, first * Math.cos(tilt) - box.left);
  return { ...box, left: box.left + more, width: box.width - more, height: Math.max(60, box.height - widest * Math.sin(tilt)) };
}

function colourAt(i: number): string {
  return palette[i % palette.length]!;
}

function referenceLine(x1: number, x2: number, y: number): string {
  return element('line', {
    x1,
    x2,
    y1: y,
    y2: y,
    stroke: 'currentColor',
    'stroke-width': 1.4,
    'stroke-dasharray': '5 4',
    opacity: 0.8,
  });
}

function errorBar(x: number, low: number | undefined, high: number | undefined, down: (value: number) => number): string {
  if (low === undefined || high === undefined || !Number.isFinite(low) || !Number.isFinite(high)) return '';
  const cap = (value: number): string => `M${coordinate(x - 4)} ${coordinate(down(value))}H${coordinate(x + 4)}`;
  return element('path', {
    d: `M${coordinate(x)} ${coordinate(down(low))}V${coordinate(down(high))}${cap(low)}${cap(high)}`,
    fill: 'none',
    stroke: 'currentColor',
    'stroke-width': 1.3,
  });
}
