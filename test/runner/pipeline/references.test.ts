import { describe, expect, test } from 'vitest';
import { dependenciesOf, readersOf } from '../../../src/runner/pipeline/reader.ts';
import type { CellGraph, CellInput } from '../../../src/runner/pipeline/model.ts';
import { ids, load, mistakes } from './rig/files.ts';

const cell = (graph: CellGraph, id: string): CellGraph['cells'][number] => graph.cells.find(one => one.id === id)!;
const source = (graph: CellGraph, input: CellInput | undefined): string => (input?.kind === 'output' ? `${graph.cells[input.cell]!.id}.${input.output}` : JSON.stringify(input));

const train = `pipeline: p
params: { chosen: b, folder: ./data }
stages:
  train:
    uses: train
    in: { images: ./images }
    matrix: { axes: { size: [a, b], seed: [1, 2] } }
    with: { size: "\${matrix.size}", seed: "\${matrix.seed}" }
`;

test('each takes over the points of its producer, cell by cell', async () => {
  const graph = await load(`${train}  e:\n    uses: evaluate\n    each: train\n    in: { model: train.model, images: ./images }\n`);
  expect(ids(graph).slice(4)).toEqual(['e[size=a,seed=1]', 'e[size=a,seed=2]', 'e[size=b,seed=1]', 'e[size=b,seed=2]']);
  for (let i = 0; i < 4; i++) expect(graph.cells[4 + i]!.inputs.model).toEqual({ kind: 'output', cell: i, output: 'model' });
  expect(graph.stages[1]).toMatchObject({ each: 'train', axes: ['size', 'seed'], first: 4, count: 4 });
});

test('each with a matrix is the cross product of both', async () => {
  const graph = await load(`${train}  e:\n    run: cat \${in.m} > \${matrix.fold}\n    each: train\n    matrix: { axes: { fold: [1, 2, 3] } }\n    in: { m: train.model }\n`);
  expect(graph.stages[1]).toMatchObject({ axes: ['size', 'seed', 'fold'], count: 12 });
  expect(source(graph, cell(graph, 'e[size=b,seed=1,fold=3]').inputs.m)).toBe('train[size=b,seed=1].model');
});

test('shared axes join by value, whatever their order and however they came', async () => {
  const graph = await load(`${train}  e:\n    run: cat \${in.m}\n    matrix: { axes: { seed: [2, 1], extra: [x], size: [b] } }\n    in: { m: train.model }\n`);
  expect(source(graph, cell(graph, 'e[seed=2,extra=x,size=b]').inputs.m)).toBe('train[size=b,seed=2].model');
});

test('brackets pin axes: by value, by param, by the own point; the rest joins or is gathered', async () => {
  const graph = await load(`${train}  e:
    run: cat \${in.one} \${in.some} \${in.all} \${in.param} \${in.joined}
    matrix: { axes: { size: [a, b] } }
    in:
      one: train[seed=2,size=a].model
      some: train[size=\${matrix.size},*].model
      all: train[*].model
      param: train[size=\${params.chosen},seed=1].model
      joined: train[seed=1].model
`);
  const { inputs } = cell(graph, 'e[size=b]');
  expect(source(graph, inputs.one)).toBe('train[size=a,seed=2].model');
  expect(source(graph, inputs.param)).toBe('train[size=b,seed=1].model');
  expect(source(graph, inputs.joined)).toBe('train[size=b,seed=1].model');
  expect(inputs.some).toEqual({ kind: 'gather', output: 'model', partial: false, items: [{ cell: 2, point: { size: 'b', seed: 1 } }, { cell: 3, point: { size: 'b', seed: 2 } }] });
  expect(inputs.all).toMatchObject({ items: [{ cell: 0 }, { cell: 1 }, { cell: 2 }, { cell: 3 }] });
  expect(cell(graph, 'e[size=a]').inputs.all).toBe(inputs.all); // one object, so that N readers of M cells stay small
});

test('numbers in brackets are compared as numbers', async () => {
  const graph = await load(`pipeline: p
stages:
  t: { run: touch x, out: { x: x }, matrix: { axes: { flops: [1e9, 3e10] } } }
  u: { run: "cat \${in.x}", in: { x: "t[flops=30000000000].x" } }
`);
  expect(source(graph, graph.cells.at(-1)!.inputs.x)).toBe('t[flops=3e10].x');
});

test('values that need quotes are quoted in brackets', async () => {
  const graph = await load(`pipeline: p
stages:
  t: { run: touch x, out: { x: x }, matrix: { axes: { name: ["two words", "a,b]c"] } } }
  u: { run: "cat \${in.x} \${in.y}", in: { x: 't[name="two words"].x', y: 't[name="a,b]c"].x' } }
`);
  expect(source(graph, graph.cells.at(-1)!.inputs.x)).toBe('t[name="two words"].x');
  expect(source(graph, graph.cells.at(-1)!.inputs.y)).toBe('t[name="a,b]c"].x');
});

test('partial hands missing cells over', async () => {
  const graph = await load(`${train}  f:\n    uses: fit\n    partial: true\n    in: { runs: "train[*].metrics" }\n`);
  expect(graph.cells.at(-1)!.inputs.runs).toMatchObject({ kind: 'gather', partial: true });
});

describe('alternatives', () => {
  const text = `pipeline: p
params: { source: phantom }
stages:
  download: { uses: download, when: "\${params.source} == roco" }
  phantom: { uses: phantom, when: "\${params.source} == phantom" }
  q: { uses: preprocess, in: { pairs: [download.pairs, phantom.pairs, ./local] } }
`;
  test.each([['phantom', 'phantom.pairs'], ['roco', 'download.pairs']])('%s', async (value, expected) => {
    const graph = await load(text, { set: [`source=${value}`] });
    expect(source(graph, graph.cells.at(-1)!.inputs.pairs)).toBe(expected);
    expect(graph.inactive.map(stage => stage.name)).toEqual([value === 'roco' ? 'phantom' : 'download']);
    expect(graph.cells).toHaveLength(2);
  });
  test('an input that may be left out is, where its stage is not active', async () => {
    const optional = `${text}  before: { uses: train, in: { images: ./images }, when: "\${params.source} == roco" }\n  t: { uses: train, in: { images: ./images, resume: before.model } }\n`;
    const without = (await load(optional)).cells.at(-1)!;
    expect(Object.keys(without.inputs)).toEqual(['images']);
    const graph = await load(optional, { set: ['source=roco'] });
    expect(source(graph, graph.cells.at(-1)!.inputs.resume)).toBe('before.model');
  });
  test('an input that may be left out is, where it is a param without a value; another is a mistake', async () => {
    const local = `pipeline: p\nparams: { copy: null }\nstages:\n  t: { uses: train, in: { images: ./images, resume: "\${params.copy}" } }\n`;
    expect(Object.keys((await load(local)).cells[0]!.inputs)).toEqual(['images']);
    expect((await load(local, { set: ['copy=./model'] })).cells[0]!.inputs.resume).toEqual({ kind: 'path', path: 'model', glob: false });
    expect(await mistakes(local.replace('images: ./images', 'images: "${params.copy}"'))).toEqual([expect.objectContaining({ code: 'template-in-text' })]);
  });
  test('an input that may be left out is, where brackets that follow the matrix name a value that its stage does not have; other axes must agree', async () => {
    const followed = (axes: string, input: string) => `${train}  t:\n    uses: train\n    in: { images: ./images, ${input} }\n    matrix: { axes: ${axes} }\n`;
    const graph = await load(followed('{ size: [b, c], seed: [1, 2] }', 'resume: "train[size=${matrix.size}].model"'));
    expect(graph.cells.slice(4).map(({ inputs }) => source(graph, inputs.resume))).toEqual(['train[size=b,seed=1].model', 'train[size=b,seed=2].model', undefined, undefined]);
    for (const wrong of [
      followed('{ size: [b, c], seed: [1, 3] }', 'resume: "train[size=${matrix.size}].model"'),
      followed('{ size: [b, c], seed: [1, 2] }', 'resume: train.model'),
      followed('{ size: [b, c], seed: [1, 2] }', 'resume: "train[size=c].model"'),
      followed('{ size: [b, c], seed: [1, 2] }', 'resume: ./model').replace('images: ./images, resume: ./model', 'images: "train[size=${matrix.size}].model"'),
    ]) expect((await mistakes(wrong)).map(({ code }) => code)).toContain('no-such-cell');
  });
  test('a path is always there', async () => {
    const graph = await load(text, { set: ['source=none'] });
    expect(graph.cells.at(-1)!.inputs.pairs).toEqual({ kind: 'path', path: 'local', glob: false });
  });
  test('a wrong name in any of them is a mistake', async () => {
    expect(await mistakes(text.replace('download.pairs', 'donwload.pairs'))).toEqual([expect.objectContaining({ code: 'unknown-stage', hint: 'did you mean `download`?' })]);
  });
});

test('paths: relative to the root, with params and matrix in them, globs as such', async () => {
  const graph = await load(`pipeline: p
params: { folder: ./data }
stages:
  a:
    run: cat \${in.plain} \${in.up} \${in.root} \${in.glob} \${in.filled}
    matrix: { axes: { n: [7] } }
    in: { plain: ./x/../y.txt, up: ../z, root: /etc/hosts, glob: "./tools/**/*.py", filled: "\${params.folder}/\${matrix.n}.csv" }
`);
  expect(graph.cells[0]!.inputs).toEqual({
    plain: { kind: 'path', path: 'y.txt', glob: false }, up: { kind: 'path', path: '../z', glob: false }, root: { kind: 'path', path: '/etc/hosts', glob: false },
    glob: { kind: 'path', path: 'tools/**/*.py', glob: true }, filled: { kind: 'path', path: 'data/7.csv', glob: false },
  });
});

test('needs orders without data', async () => {
  const graph = await load(`pipeline: p
stages:
  after: { run: touch x, needs: [before, off] }
  off: { run: touch x, when: false }
  before: { run: touch x, matrix: { axes: { n: [1, 2] } } }
`);
  expect(ids(graph)).toEqual(['before[n=1]', 'before[n=2]', 'after']);
  expect(graph.cells[2]!.needs).toEqual([0, 1]);
  expect(graph.stages[1]!.needs).toEqual(['before']);
  expect(dependenciesOf(graph.cells[2]!)).toEqual([0, 1]);
  expect(readersOf(graph)).toEqual([[2], [2], []]);
});

test('producers come before consumers, cells of a stage lie together, whatever the order in the file', async () => {
  const graph = await load(`pipeline: p
stages:
  z: { run: "cat \${in.a}", in: { a: "y[*].x" } }
  y: { run: "cat \${in.a}", each: x, in: { a: x.x }, out: { x: x } }
  x: { run: touch x, out: { x: x }, matrix: { axes: { n: [1, 2] } } }
`);
  expect(ids(graph)).toEqual(['x[n=1]', 'x[n=2]', 'y[n=1]', 'y[n=2]', 'z']);
  for (const one of graph.cells) for (const before of dependenciesOf(one)) expect(before).toBeLessThan(one.index);
  graph.stages.forEach((stage, index) => {
    for (let i = stage.first; i < stage.first + stage.count; i++) expect(graph.cells[i]!.stage).toBe(index);
  });
});

test('points that a producer leaves out are missed with the values there are', async () => {
  const [found] = await mistakes(`pipeline: p
stages:
  t: { run: touch x, out: { x: x }, matrix: { axes: { a: [1, 2], b: [1, 2] }, exclude: [{ a: 2, b: 2 }] } }
  u: { run: "cat \${in.x}", in: { x: t.x }, matrix: { axes: { a: [1, 2], b: [1, 2] } } }
`);
  expect(found).toMatchObject({ code: 'no-such-cell', message: '`t` has no cell [a=2,b=2]' });
  expect(found!.hint).toMatch(/each/);
});

describe('when', () => {
  const active = async (condition: string): Promise<boolean> => (await load(`pipeline: p
params: { source: roco, n: 3, list: [a, b], flag: true, text: two words }
stages:
  a: { run: touch x, when: ${JSON.stringify(condition)} }
`)).cells.length === 1;
  test.each<[string, boolean]>([
    ['${params.source} == roco', true], ['${params.source} != roco', false], ['${params.n} >= 3 and ${params.n} < 4', true],
    ['not ${params.flag}', false], ['${params.flag}', true], ['a in ${params.list}', true], ['${params.source} in [roco, phantom]', true],
    ['c not in ${params.list}', true], ['${params.n} == 1 or (${params.n} == 3 and not false)', true], ['${params.text} == "two words"', true],
    ["${params.text} == 'two words'", true], ['${params.n} == "3"', false], ['${params.n} > 1e1', false], ['not ${params.n} == 1 and true', true],
  ])('%s is %s', async (condition, expected) => expect(await active(condition)).toBe(expected));
  test.each(['${params.n}', '${params.source} < 3', '${params.source} ==', '(${params.flag}', '${params.text} == two words', 'x in ${params.n}', '${matrix.a} == 1'])('%s is refused', async condition => {
    expect(await mistakes(`pipeline: p\nparams: { source: roco, n: 3, flag: true, text: x }\nstages:\n  a: { run: touch x, when: ${JSON.stringify(condition)} }\n`)).toHaveLength(1);
  });
});
