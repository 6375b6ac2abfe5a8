import { expect, test } from 'vitest';
import { graphSvg } from '../../../src/runner/report/graph-svg.ts';
import { graphDot, graphMermaid, graphText } from '../../../src/runner/report/graph-text.ts';
import { renderPage } from '../../../src/runner/report/page.ts';
import type { PageItem, ReportPage } from '../../../src/runner/report/page-model.ts';
import type { StageGraph } from '../../../src/runner/report/stage-graph.ts';

const graph: StageGraph = {
  nodes: [
    { name: 'draw', summary: null, cells: 1, states: { fresh: 1, stale: 0, failed: 0, stopped: 0 } },
    { name: 'train', summary: 'Trains <it>', cells: 24, states: { fresh: 20, stale: 3, failed: 1, stopped: 0 } },
    { name: 'fit', summary: null, cells: 1, states: { fresh: 0, stale: 1, failed: 0, stopped: 0 } },
  ],
  edges: [
    { from: 'draw', to: 'train', outputs: ['images'], gather: false },
    { from: 'train', to: 'fit', outputs: ['metrics'], gather: true },
    { from: 'draw', to: 'fit', outputs: [], gather: false },
  ],
};

const page = (items: readonly PageItem[]): ReportPage => ({
  title: 'A <title> & more', pipeline: 'p', profile: 'demo', overrides: ['a=<1>'], madeAt: 0, program: 'pipe 0.1.0', counts: { fresh: 1, stale: 2, stopped: 0 },
  params: { rate: 0.1 }, conclusions: [{ stage: 'fit', text: 'train <more>', attempt: 7 }],
  accepted: [{ cell: 'fit', reason: 'only <b>a comment</b>', attempt: 7 }], items, graph: graphSvg(graph),
  provenance: [{
    attempt: 7, cell: 'train[seed=1]', run: 2, key: 'abc123', status: 'ran', host: 'here', startedAt: 0, durationMs: 41_000, cpuSeconds: 3, peakMemoryBytes: 1e6,
    platform: { backend: 'wasm' }, manifest: [{ part: 'code', value: { 'stages/train.ts': 'feed' }, ignored: false }, { part: 'with.log_every', value: 5, ignored: true }],
    outputs: [{ name: 'model', digest: 'beef', size: 1200, files: 2 }],
  }],
});
const figure = (text: string): PageItem => ({ kind: 'figure', title: 'the law', picture: { kind: 'svg', text }, attempt: 7, mark: { state: 'fresh' }, missing: null });

test('each row links to the attempt it came from, and stale rows say so', () => {
  const html = renderPage(page([{
    kind: 'table', title: 'Results', columns: [{ name: 'seed', kind: 'axis' }, { name: 'loss', kind: 'metric' }],
    rows: [
      { cell: 'train[seed=1]', attempt: 7, mark: { state: 'fresh' }, values: [1, 2.91347] },
      { cell: 'train[seed=2]', attempt: 7, mark: { state: 'stale', why: 'with.rate changed: "0.1" → 0.2' }, values: [2, 3] },
      { cell: 'train[seed=3]', attempt: null, mark: { state: 'missing', why: 'never run' }, values: [3, undefined] },
    ],
  }]));
  expect(html).toContain('<tr class="fresh"><td class="axis number" title="1">1</td><td class="metric number" title="2.91347">2.913</td><td class="source"><a href="#attempt-7">#7</a></td></tr>');
  expect(html).toContain('<span class="mark stale" title="with.rate changed: &quot;0.1&quot; → 0.2">stale</span>');
  expect(html).toContain('1 of 3 rows are stale');
  expect(html).toContain('<div id="attempt-7">');
  for (const part of ['abc123', 'stages/train.ts: feed', 'with.log_every', 'not in the key', 'beef', '1.2 KB, 2 files']) expect(html).toContain(part);
});

test('the page needs nothing from outside and runs nothing', () => {
  const html = renderPage(page([figure('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'), { kind: 'text', text: 'a < b\n\nc' }]));
  expect(html).not.toMatch(/<script|<link|src="http|@import|A <title>/);
  expect(html).toContain('<b>fit</b> train &lt;more&gt; <a href="#attempt-7">');
  expect(html).toContain('<b>fit</b> only &lt;b&gt;a comment&lt;/b&gt; <a href="#attempt-7">');
  expect(html).toContain('<p>a &lt; b</p><p>c</p>');
  expect(html).toContain('<div class="chart"><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg></div>');
});

test.each([
  '<svg><script>alert(1)</script></svg>', '<svg onload="alert(1)"></svg>', '<svg><a href="javascript:alert(1)"/></svg>', '<svg><foreignObject/></svg>', '<svg><g id="x"/></svg>',
])('an SVG that does more than draw becomes a picture that cannot act: %s', svg => {
  const html = renderPage(page([figure(svg)]));
  expect(html).toContain(`src="data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}"`);
  expect(html).not.toContain(svg);
});

test('the graph as text, Mermaid, Graphviz and SVG', () => {
  expect(graphText(graph)).toBe([
    'draw       1 fresh',
    'train ×24  20 fresh, 3 stale, 1 failed  ← draw.images',
    'fit        1 stale                      ← train[*].metrics, (draw)', '',
  ].join('\n'));
  expect(graphMermaid(graph)).toContain('s1["train ×24<br/>20 fresh, 3 stale, 1 failed"]');
  expect(graphMermaid(graph)).toContain('s1 ==>|metrics| s2');
  expect(graphDot(graph)).toContain('"train" -> "fit" [label="metrics", penwidth=2];');
  expect(graphSvg(graph)).toContain('Trains &lt;it&gt;');
});
