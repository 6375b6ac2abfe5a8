/** Pieces of SVG: elements, text, the frame with title, axes and legend that all charts share. */
import { type Scale, formatNumber } from './scale.ts';

/** Okabe and Ito's palette, told apart with any kind of colour blindness, without black and yellow; then two more. */
export const palette: readonly string[] = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#d55e00',
  '#cc79a7',
  '#56b4e9',
  '#7f7f7f',
  '#8c6d31',
];

export interface Axis {
  /** Shown beside the axis, with its unit, for example `compute (FLOP)`. */
  readonly label: string;
  /** Default `linear`. */
  readonly scale?: 'linear' | 'log';
  /** Ends of the axis; from the data when left out. */
  readonly min?: number;
  readonly max?: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface LegendEntry {
  readonly name: string;
  /** SVG of the key, drawn in a box 26 wide around y = 0. */
  readonly key: string;
}

export interface Frame {
  readonly title?: string;
  readonly subtitle?: string;
  readonly width: number;
  readonly height: number;
  readonly xLabel?: string;
  readonly yLabel: string;
  readonly legend: readonly LegendEntry[];
}

export function escapeText(text: string): string {
  return text
    .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A coordinate with two decimals: enough for a screen, and the same text everywhere. */
export function coordinate(value: number): string {
  const text = value.toFixed(2).replace(/\.?0+$/, '');
  return text === '-0' ? '0' : text;
}

export function element(name: string, attributes: Readonly<Record<string, string | number | undefined>>, content = ''): string {
  const text = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeText(value ?? '')}"`)
    .join('');
  return content === '' ? `<${name}${text}/>` : `<${name}${text}>${content}</${name}>`;
}

export function label(text: string, attributes: Readonly<Record<string, string | number | undefined>>): string {
  return element('text', attributes, escapeText(text));
}

/** Width of a text in pixels, about: fonts differ, so leave room. */
export function textWidth(text: string, size: number): number {
  return [...text].length * size * 0.58;
}

/** The plot's box inside the frame, once titles, labels and legend have their room. */
export function plotBox(frame: Frame, yTickWidth: number): Box {
  const top = 14 + (frame.title === undefined ? 0 : 22) + (frame.subtitle === undefined ? 0 : 18);
  const left = 34 + yTickWidth;
  const legendWidth = frame.legend.length === 0 ? 16 : legendRoom(frame.legend);
  return {
    left,
    top,
    width: frame.width - left - legendWidth,
    height: frame.height - top - (frame.xLabel === undefined ? 34 : 52),
  };
}

function legendRoom(legend: readonly LegendEntry[]): number {
  return 56 + Math.min(190, Math.max(...legend.map(({ name }) => textWidth(name, 12))));
}

/** The whole document. `plot` is in the box's own coordinates and is cut at its edges; `outside` is in the document's. */
export function document(frame: Frame, box: Box, plot: string, outside: string): string {
  const heading: string[] = [];
  let y = 24;
  if (frame.title !== undefined) {
    heading.push(label(frame.title, { x: 16, y, 'font-size': 15, 'font-weight': 600 }));
    y += 19;
  }
  if (frame.subtitle !== undefined) heading.push(label(frame.subtitle, { x: 16, y, 'font-size': 12, opacity: 0.75 }));
  const xTitle =
    frame.xLabel === undefined
      ? ''
      : label(frame.xLabel, { x: box.left + box.width / 2, y: frame.height - 12, 'font-size': 12.5, 'text-anchor': 'middle' });
  const middle = box.top + box.height / 2;
  const yTitle = label(frame.yLabel, {
    x: 17,
    y: middle,
    'font-size': 12.5,
    'text-anchor': 'middle',
    transform: `rotate(-90 17 ${coordinate(middle)})`,
  });
  const entries = frame.legend.map(({ name, key }, i) =>
    element(
      'g',
      { transform: `translate(${coordinate(box.left + box.width + 14)} ${coordinate(box.top + 10 + 19 * i)})` },
      key + label(shorten(name, 190, 12), { x: 32, y: 4, 'font-size': 12 }),
    ),
  );
  const clipped = element('svg', { x: box.left, y: box.top, width: box.width, height: box.height }, plot);
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    class: 'xfolds-chart',
    viewBox: `0 0 ${frame.width} ${frame.height}`,
    role: 'img',
    'font-family': 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif',
    fill: 'currentColor',
    width: '100%',
    style: `max-width:${frame.width}px`,
  };
  const name = frame.title === undefined ? '' : element('title', {}, escapeText(frame.title));
  return `${element('svg', attributes, `${name}${theme}${heading.join('')}${outside}${clipped}${xTitle}${yTitle}${entries.join('')}`)}\n`;
}

/** Text and lines take the page's colour; a chart opened by itself follows the reader's light or dark setting. */
const theme =
  '<style>:root.xfolds-chart{color:#24292f}@media (prefers-color-scheme:dark){:root.xfolds-chart{color:#e6edf3;background:#0d1117}}</style>';

function shorten(text: string, width: number, size: number): string {
  const most = Math.floor(width / (size * 0.56));
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/** Grid lines and labels of a horizontal axis (ticks along the bottom). */
export function xAxis(scale: Scale, box: Box): string {
  const parts = scale.ticks.map((tick) => {
    const x = box.left + scale.place(tick) * box.width;
    const line = element('line', { x1: x, x2: x, y1: box.top, y2: box.top + box.height, stroke: 'currentColor', opacity: 0.12 });
    return (
      line +
      label(formatNumber(tick), { x, y: box.top + box.height + 17, 'font-size': 11.5, 'text-anchor': 'middle', opacity: 0.85 })
    );
  });
  return parts.join('') + baseline(box);
}

/** Grid lines and labels of a vertical axis (ticks along the left). */
export function yAxis(scale: Scale, box: Box): string {
  const parts = scale.ticks.map((tick) => {
    const y = box.top + (1 - scale.place(tick)) * box.height;
    const line = element('line', { x1: box.left, x2: box.left + box.width, y1: y, y2: y, stroke: 'currentColor', opacity: 0.12 });
    return (
      line + label(formatNumber(tick), { x: box.left - 7, y: y + 4, 'font-size': 11.5, 'text-anchor': 'end', opacity: 0.85 })
    );
  });
  return parts.join('');
}

export function baseline(box: Box): string {
  const y = box.top + box.height;
  return element('line', { x1: box.left, x2: box.left + box.width, y1: y, y2: y, stroke: 'currentColor', opacity: 0.5 });
}

/** Room for the widest tick label of a vertical axis. */
export function tickWidth(scale: Scale): number {
  return Math.max(12, ...scale.ticks.map((tick) => textWidth(formatNumber(tick), 11.5)));
}
