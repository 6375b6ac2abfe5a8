import sharp from 'sharp';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barChart } from '../../src/chart/bar-chart.ts';
import { type LineChart, lineChart } from '../../src/chart/line-chart.ts';
import { formatNumber, linearTicks, logTicks, makeScale } from '../../src/chart/scale.ts';
import { sparkline, terminalPlot } from '../../src/chart/terminal.ts';

const chart: LineChart = {
  title: 'Loss <&> "compute"',
  x: { label: 'compute (FLOP)', scale: 'log' },
  y: { label: 'loss (nats)' },
  series: [
    {
      name: 'd16l1',
      points: [
        { x: 1e9, y: 3, low: 2.9, high: 3.2 },
        { x: 1e10, y: 2.5 },
        { x: 1e11, y: 2.2 },
      ],
    },
    {
      name: 'a & b',
      points: [
        { x: 1e9, y: 3.5 },
        { x: 0, y: 3 },
        { x: 1e10, y: NaN },
        { x: 1e11, y: 2 },
      ],
      draw: 'line',
      dashed: true,
    },
  ],
};

describe('ticks', () => {
  it('are round', () => {
    expect(linearTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linearTicks(1.93, 2.31, 4)).toEqual([2, 2.1, 2.2, 2.3]);
    expect(logTicks(1e9, 1e12, 4)).toEqual([1e9, 1e10, 1e11, 1e12]);
    expect(logTicks(1, 10, 6)).toEqual([1, 2, 5, 10]);
    expect(logTicks(2, 4, 4)).toEqual([2, 2.5, 3, 3.5, 4]);
    expect(logTicks(1e-20, 1e20, 5).length).toBeLessThan(8);
  });

  it('lie inside any axis, with two at least', () => {
    const number = fc.double({ min: 1e-9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(fc.constantFrom('linear', 'log'), fc.array(number, { minLength: 1 }), (kind, values) => {
        const scale = makeScale(kind, values, 6);
        for (const value of values) expect(scale.place(value)).toBeGreaterThanOrEqual(0);
        for (const value of values) expect(scale.place(value)).toBeLessThanOrEqual(1);
        for (const tick of scale.ticks) expect(Math.abs(scale.place(tick) - 0.5)).toBeLessThan(0.5 + 1e-6);
        expect(scale.ticks.length).toBeLessThan(25);
      }),
    );
  });

  it.each(['linear', 'log'] as const)('come to an end on a %s axis whose values differ in the last digit only', (kind) => {
    for (const value of [1e9, 1, 3e-9]) {
      const scale = makeScale(kind, [value, value * (1 + Number.EPSILON)], 6);
      expect(scale.ticks.length).toBeGreaterThan(0);
      expect(scale.ticks.length).toBeLessThan(25);
      expect(scale.place(value)).toBeCloseTo(0.5, 1);
    }
    expect(linearTicks(1e9, 1e9 * (1 + Number.EPSILON), 6)).toEqual([]);
  });

  it('are written as people write them', () => {
    expect([0, 0.25, 1000, 12345, 1e5, 1e9, 2.5e-7, -3, NaN].map(formatNumber)).toEqual([
      '0',
      '0.25',
      '1,000',
      '12,350',
      '10⁵',
      '10⁹',
      '2.5×10⁻⁷',
      '−3',
      'NaN',
    ]);
  });
});

describe('charts', () => {
  it('escape text, give equal bytes, and break lines where a point cannot be shown', () => {
    const svg = lineChart(chart);
    expect(svg).toContain('Loss &lt;&amp;&gt; &quot;compute&quot;');
    expect(svg).toContain('a &amp; b');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(lineChart(chart)).toBe(svg);
    expect(svg.match(/<circle/g)).toHaveLength(4); // three points and the legend's
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1); // only the legend: no two neighbours of the second series can be shown
  });

  it('are pictures with ink in them', async () => {
    const bars = barChart({
      categories: ['R@1', 'R@5'],
      y: { label: 'recall' },
      series: [
        { name: 'model', values: [0.2, 0.5], low: [0.1, 0.4], high: [0.3, 0.6] },
        { name: 'other', values: [0.1, NaN] },
      ],
      reference: { value: 0.05, name: 'chance' },
    });
    expect(bars.match(/<rect/g)).toHaveLength(5); // three bars, two legend keys
    for (const svg of [lineChart(chart), bars]) {
      const { dominant, isOpaque, channels } = await sharp(Buffer.from(svg)).stats();
      expect(isOpaque).toBe(false);
      expect(channels[3]!.mean).toBeGreaterThan(2);
      expect(dominant).toBeDefined();
    }
  });

  it('tilt names of bars that do not fit side by side, and keep them in the picture', () => {
    const categories = ['truncate+tuned+stretched', 'bigbird-8-3-1', 'image-resize', 'longformer-16', 'sentences', 'image-random-50', 'full', 'chunks'];
    const of = (names: readonly string[]): string => barChart({ categories: names, y: { label: 'recall' }, series: [{ name: 'model', values: names.map(() => 0.5) }], width: 500 });
    expect(of(['full', 'chunks'])).not.toContain('rotate(-30');
    const tilted = [...of(categories).matchAll(/<text y="([\d.]+)"[^>]*transform="rotate\(-30 ([\d.]+) [\d.]+\)">([^<]+)</g)];
    expect(tilted.map(([, , , name]) => name)).toEqual(categories);
    for (const [, y, x, name = ''] of tilted) {
      const length = name.length * 11.5 * 0.58;
      expect(Number(y) + length / 2).toBeLessThan(420);
      expect(Number(x) - length * Math.cos(Math.PI / 6)).toBeGreaterThan(-2);
    }
  });

  it('stand nothing to draw', () => {
    for (const series of [[], [{ name: 'none', points: [] }], [{ name: 'one', points: [{ x: 5, y: 5 }] }]]) {
      expect(lineChart({ ...chart, series })).not.toMatch(/NaN|Infinity/);
    }
    expect(barChart({ categories: [], y: { label: 'y' }, series: [] })).not.toMatch(/NaN|Infinity/);
  });
});

describe('charts of characters', () => {
  it('sparkline', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([1, NaN, 2])).toBe('▁ █');
    expect(sparkline([2, 2])).toBe('▅▅');
    expect(sparkline([])).toBe('');
  });

  it('terminal plot keeps to its columns and shows every series', () => {
    const text = terminalPlot({ ...chart, columns: 60, rows: 16 });
    const lines = text.split('\n');
    expect(lines.every((line) => [...line].length <= 61)).toBe(true);
    expect(lines).toHaveLength(16);
    expect(text).toContain('● d16l1');
    expect(text.match(/●/g)).toHaveLength(4);
    expect(text).toContain('10¹⁰');
    expect(terminalPlot({ ...chart, series: [] })).not.toContain('NaN');
  });
});
