import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadPipeline } from '../../../src/runner/pipeline/load.ts';
import { study } from './rig/catalogue.ts';
import { ids, load, mistakes, project } from './rig/files.ts';

const scaling = `pipeline: scaling
include: [parts/images.yaml]
params: { seeds: 2 }
profiles:
  lab: { seeds: 3 }
stages:
  train:
    uses: train
    in: { images: prepare.images }
    matrix: { axes: { seed: { from: 1, to: "\${params.seeds}" } } }
    with: { seed: "\${matrix.seed}" }
report: [{ table: train }]
`;
const images = `params: { resolution: 32 }
profiles:
  lab: { resolution: 64 }
stages:
  phantom: { uses: phantom }
  prepare: { uses: preprocess, in: { pairs: phantom.pairs }, with: { resolution: "\${params.resolution}" } }
`;

test('a part joins the names of the pipeline that includes it', async () => {
  const graph = await load(scaling, { files: { 'parts/images.yaml': images } });
  expect(ids(graph)).toEqual(['phantom', 'prepare', 'train[seed=1]', 'train[seed=2]']);
  expect(graph.params).toEqual({ seeds: 2, resolution: 32 });
  expect(graph.sources.slice(0, 2)).toEqual([graph.file, join(graph.root, 'parts/images.yaml')]);
});

test('a pipeline joins under its name, with params of its own; one that is reached twice is one', async () => {
  const files = {
    'parts/images.yaml': images, 'scaling.yaml': scaling,
    'middle.yaml': 'pipeline: middle\ninclude: [scaling.yaml]\nstages:\n  use: { run: "cat ${in.m}", in: { m: "scaling/train[seed=1].model" } }\n',
  };
  const text = `pipeline: study
include: [scaling.yaml, middle.yaml, parts/images.yaml]
params: { seeds: 1 }
stages:
  all: { uses: fit, in: { runs: "scaling/train[*].metrics" } }
  own: { run: "cat \${in.i}", in: { i: prepare.captions } }
`;
  const graph = await load(text, { files, profile: 'lab', set: ['scaling.seeds=1', 'seeds=7'] });
  expect(ids(graph).sort()).toEqual(['all', 'middle/use', 'own', 'phantom', 'prepare', 'scaling/phantom', 'scaling/prepare', 'scaling/train[seed=1]']);
  expect(graph.params).toEqual({ seeds: 7, resolution: 64, scaling: { seeds: 1, resolution: 64 }, middle: {} });
  expect(graph.cells.find(cell => cell.id === 'scaling/prepare')!.with).toEqual({ resolution: 64 });
  // Without a report of its own, a pipeline shows those of what it includes.
  expect(graph.report).toEqual([{ kind: 'table', stage: 'scaling/train', rows: null, columns: null, title: null }]);
});

test('a pipeline of pipelines has a report without having stages', async () => {
  const graph = await load('pipeline: all\ninclude: [scaling.yaml]\nreport: [{ table: scaling/train, rows: seed }]\n', { files: { 'scaling.yaml': scaling, 'parts/images.yaml': images } });
  expect(graph.report).toEqual([{ kind: 'table', stage: 'scaling/train', rows: 'seed', columns: null, title: null }]);
  expect(await mistakes('pipeline: all\nreport: [{ table: train }]\n')).toEqual([expect.objectContaining({ code: 'unknown-stage' })]);
});

test('only what a pipeline includes can be named', async () => {
  const files = { 'a.yaml': 'pipeline: a\nstages:\n  x: { run: touch x, out: { x: x } }\n', 'b.yaml': 'pipeline: b\nstages:\n  y: { run: "cat ${in.x}", in: { x: a/x.x } }\n' };
  const found = await mistakes('pipeline: p\ninclude: [a.yaml, b.yaml]\n', { files });
  expect(found).toEqual([expect.objectContaining({ code: 'unknown-stage', position: expect.objectContaining({ line: 3, file: expect.stringMatching(/b\.yaml$/) }) })]);
});

test('a forgotten prefix is suggested', async () => {
  const files = { 'a.yaml': 'pipeline: a\nstages:\n  x: { run: touch x, out: { x: x } }\n' };
  const found = await mistakes('pipeline: p\ninclude: [a.yaml]\nstages:\n  y: { run: "cat ${in.x}", in: { x: x.x } }\n', { files });
  expect(found[0]!.hint).toBe('did you mean `a/x`?');
});

test('params and profile entries declared twice show both places', async () => {
  const files = { 'b.yaml': 'params: { a: 2 }\nprofiles:\n  lab: { a: 4 }\n' };
  const found = await mistakes('pipeline: p\ninclude: [b.yaml]\nparams: { a: 1 }\nprofiles:\n  lab: { a: 3 }\n', { files });
  expect(found.map(d => [d.code, d.position!.line, d.related.length])).toEqual([['duplicate-name', 1, 1], ['duplicate-name', 3, 1]]);
});

test('a param may not hide an included pipeline', async () => {
  expect(await mistakes('pipeline: p\ninclude: [a.yaml]\nparams: { a: 1 }\n', { files: { 'a.yaml': 'pipeline: a\n' } })).toEqual([expect.objectContaining({ code: 'duplicate-name' })]);
});

test('two pipelines of one name show both places', async () => {
  const found = await mistakes('pipeline: p\ninclude: [a.yaml]\n', { files: { 'a.yaml': 'pipeline: p\n' } });
  expect(found).toEqual([expect.objectContaining({ code: 'duplicate-name', related: [expect.anything()] })]);
});

test('mistakes of all files are shown in one go, file by file and line by line', async () => {
  const folder = project({
    'package.json': '{}',
    'pipelines/p.yaml': 'pipeline: p\ninclude: [q.yaml]\ntitel: x\nstages:\n  a: { run: "ls ${params.no}" }\n  b: { uses: nothing }\n  c: { run: "cat ${in.x}", in: { x: d.x }, timeout: soon }\n',
    'pipelines/q.yaml': 'pipeline: q\nstages:\n  a: { run: "ls ${HOME}" }\n',
  });
  const error = await loadPipeline({ file: join(folder, 'pipelines/p.yaml'), profile: null, set: ['x=1'], catalogue: study() }).catch((e: unknown) => e);
  expect((error as { diagnostics: { code: string }[] }).diagnostics.map(d => d.code)).toEqual(['unknown-param', 'unknown-key', 'unknown-param', 'unknown-module', 'unknown-stage', 'wrong-type', 'shell-variable']);
});
