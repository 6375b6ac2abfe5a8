/** Charts of characters, for terminals and logs. */
import { formatNumber, makeScale, showable } from './scale.ts';

const blocks = '▁▂▃▄▅▆▇█';

/** One block a value, from the lowest to the highest; a blank where a value is not finite. Empty for no values. */
export function sparkline(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  const low = finite.reduce((a, b) => Math.min(a, b), Infinity);
  const high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  return values
    .map((value) => {
      if (!Number.isFinite(value)) return ' ';
      const share = high > low ? (value - low) / (high - low) : 0.5;
      return blocks[Math.min(blocks.length - 1, Math.floor(share * blocks.length))];
    })
    .join('');
}

export interface TerminalPlot {
  readonly x: { readonly label: string; readonly scale?: 'linear' | 'log' };
  readonly y: { readonly label: string; readonly scale?: 'linear' | 'log' };
  readonly series: readonly { readonly name: string; readonly points: readonly { readonly x: number; readonly y: number }[] }[];
  /** Columns and rows of the whole picture. Default 76 × 18. */
  readonly columns?: number;
  readonly rows?: number;
}

const marks = '●■▲◆○□△◇';

/** A scatter plot of marks, one mark a series, with ticks and a legend; lines joined by newlines. */
export function terminalPlot(plot: TerminalPlot): string {
  const { columns = 76, rows = 18 } = plot;
  const kinds = { x: plot.x.scale ?? 'linear', y: plot.y.scale ?? 'linear' } as const;
  const points = plot.series
    .flatMap((series) => series.points)
    .filter(({ x, y }) => showable(kinds.x, x) && showable(kinds.y, y));
  const height = Math.max(4, rows - 3 - plot.series.length);
  const y = makeScale(
    kinds.y,
    points.map((point) => point.y),
    Math.max(2, Math.floor(height / 3)),
  );
  const labels = y.ticks.map(formatNumber);
  const margin = Math.max(0, ...labels.map((text) => text.length)) + 1;
  const width = Math.max(10, columns - margin - 1);
  const x = makeScale(
    kinds.x,
    points.map((point) => point.x),
    Math.max(2, Math.floor(width / 14)),
  );
  const grid = Array.from({ length: height }, () => Array.from({ length: width }, () => ' '));
  const row = (value: number): number => Math.round((1 - y.place(value)) * (height - 1));
  const column = (value: number): number => Math.round(x.place(value) * (width - 1));
  plot.series.forEach((series, i) => {
    for (const point of series.points) {
      if (showable(kinds.x, point.x) && showable(kinds.y, point.y))
        grid[row(point.y)]![column(point.x)] = marks[i % marks.length]!;
    }
  });
  const tickAt = new Map(y.ticks.map((tick, i) => [row(tick), labels[i]!]));
  const body = grid.map((cells, i) =>
    `${(tickAt.get(i) ?? '').padStart(margin)}${tickAt.has(i) ? '┤' : '│'}${cells.join('')}`.trimEnd(),
  );
  const axis = Array.from({ length: width }, () => '─');
  let ticks = '';
  for (const tick of x.ticks) {
    const text = formatNumber(tick);
    const at = column(tick);
    axis[at] = '┴';
    const from = Math.max(0, at - Math.floor(text.length / 2));
    if (from > ticks.length || ticks === '') ticks = ticks.padEnd(from) + text;
  }
  const legend = plot.series.map(({ name }, i) => `${' '.repeat(margin + 1)}${marks[i % marks.length]} ${name}`);
  return [
    `${plot.y.label} against ${plot.x.label}`,
    ...body,
    `${' '.repeat(margin)}└${axis.join('')}`,
    `${' '.repeat(margin + 1)}${ticks}`,
    ...legend,
  ].join('\n');
}
