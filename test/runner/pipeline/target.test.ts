import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { PipeError } from '../../../src/runner/diagnostic.ts';
import type { CellGraph } from '../../../src/runner/pipeline/model.ts';
import { parseOutputTarget, parseTarget, selectCells, selectOneCell, selectOutput, withAncestors, withDescendants } from '../../../src/runner/pipeline/target.ts';
import { load } from './rig/files.ts';

let graph: CellGraph;
beforeEach(async () => {
  graph = await load(`pipeline: p
include: [q.yaml]
stages:
  images: { run: touch x, out: { x: x } }
  train: { run: "cat \${in.i}", in: { i: images.x }, out: { model: m }, matrix: { axes: { size: [d16l1, d24l2], flops: [1e9, 3e10], rate: [0.5, 1] } } }
  eval: { run: "cat \${in.m}", each: train, in: { m: train.model }, out: { x: x } }
  fit: { run: "cat \${in.m}", in: { m: "eval[*].x" } }
  other: { run: touch x }
  off: { run: touch x, when: false }
`, { files: { 'q.yaml': 'pipeline: q\nstages:\n  deep: { run: touch x }\n  train: { run: touch x }\n' } });
});

const names = (set: Iterable<number>): string[] => [...set].sort((a, b) => a - b).map(index => graph.cells[index]!.id);
const failure = (act: () => unknown): { message: string; hint: string | null } => {
  try {
    act();
  } catch (error) {
    if (error instanceof PipeError && error.exitCode === 2) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('selectCells', () => {
  test('without targets, all', () => expect(selectCells(graph, []).size).toBe(graph.cells.length));
  test('a stage, all of its cells', () => {
    expect(names(selectCells(graph, ['other', 'images']))).toEqual(['images', 'other'].sort((a, b) => graph.cells.findIndex(c => c.id === a) - graph.cells.findIndex(c => c.id === b)));
    expect(selectCells(graph, ['train']).size).toBe(8);
    expect(selectCells(graph, ['train[*]']).size).toBe(8);
  });
  test('axes in any order, any subset, numbers in any form, bare values', () => {
    expect(names(selectCells(graph, ['train[rate=0.5,size=d16l1,flops=1e9]']))).toEqual(['train[size=d16l1,flops=1e9,rate=0.5]']);
    expect(names(selectCells(graph, ['train[flops=1000000000,rate=.5]']))).toEqual(['train[size=d16l1,flops=1e9,rate=0.5]', 'train[size=d24l2,flops=1e9,rate=0.5]']);
    expect(names(selectCells(graph, ['train[d16l1,3e10,1]']))).toEqual(['train[size=d16l1,flops=3e10,rate=1]']);
  });
  test('+ before: what it needs; + after: what needs it', () => {
    expect(names(selectCells(graph, ['+eval[d16l1,1e9,1]']))).toEqual(['images', 'train[size=d16l1,flops=1e9,rate=1]', 'eval[size=d16l1,flops=1e9,rate=1]']);
    expect(names(selectCells(graph, ['train[d16l1,1e9,1]+']))).toEqual(['train[size=d16l1,flops=1e9,rate=1]', 'eval[size=d16l1,flops=1e9,rate=1]', 'fit']);
    expect(selectCells(graph, ['+fit']).size).toBe(18);
    expect(selectCells(graph, ['+eval[d16l1,1e9,1]+']).size).toBe(4);
    expect(withAncestors(graph, selectCells(graph, ['fit']))).toEqual(selectCells(graph, ['+fit']));
    expect(withDescendants(graph, selectCells(graph, ['images']))).toEqual(selectCells(graph, ['images+']));
  });
  test('a stage of an included pipeline, with its prefix or without where that is clear', () => {
    expect(names(selectCells(graph, ['q/deep', 'deep']))).toEqual(['q/deep']);
    expect(names(selectCells(graph, ['q/train']))).toEqual(['q/train']);
  });
  test.each([
    ['trian', /no stage is called `trian`/, /did you mean `train`/],
    ['off', /not active/, /--profile/],
    ['train[sise=d16l1]', /no axis `sise`/, /did you mean `size`/],
    ['train[size=d16l2]', /no value d16l2/, /did you mean `d16l1`/],
    ['train[nothing]', /no axis of `train` has the value nothing/, /values are/],
    ['train[1e9', /is no target/, /targets are/],
    ['train[size=d16l1,size=d24l2]', /named twice/, /targets are/],
    ['train[,]', /empty place/, /targets are/],
    ['images[x=1]', /no matrix/, /write images/],
    ['', /is no target/, /targets are/],
    ['a b', /is no target/, /targets are/],
  ])('%s is refused', (text, message, hint) => {
    const found = failure(() => selectCells(graph, [text]));
    expect(found.message).toMatch(message);
    expect(found.hint).toMatch(hint);
  });
});

test('one cell, one output', () => {
  expect(graph.cells[selectOneCell(graph, 'train[d16l1,1e9,1]')]!.id).toBe('train[size=d16l1,flops=1e9,rate=1]');
  expect(failure(() => selectOneCell(graph, 'train[d16l1]'))).toMatchObject({ message: '`train[d16l1]` names 4 cells, and one is needed', hint: expect.stringContaining('train[size=d16l1,flops=1e9,rate=0.5]') as string });
  expect(selectOutput(graph, 'train[d16l1,1e9,rate=0.5].model')).toEqual({ cell: selectOneCell(graph, 'train[d16l1,1e9,0.5]'), output: 'model' });
  expect(failure(() => selectOutput(graph, 'images.y')).hint).toMatch(/outputs are: x/);
  expect(failure(() => selectOutput(graph, 'train[rate=0.5]')).message).toMatch(/names no output/);
  expect(failure(() => parseOutputTarget('+train.model')).message).toMatch(/leave out the \+/);
});

test('property: what is printed reads back as the same cell, axes in any order', () => {
  fc.assert(fc.property(fc.nat(), fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (pick, order) => {
    const cells = graph.cells.filter(cell => Object.keys(cell.point).length > 0);
    const cell = cells[pick % cells.length]!;
    const [, stage, inside] = /^([^[]+)\[(.*)\]$/.exec(cell.id)!;
    const shuffled = inside!.split(',').map(term => ({ term, at: order.next().value as number })).sort((a, b) => a.at - b.at).map(({ term }) => term);
    expect(selectOneCell(graph, `${stage}[${shuffled.join(',')}]`)).toBe(cell.index);
  }));
});

test('property: any text in an axis reads back', async () => {
  await fc.assert(fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 }), async values => {
    const one = await load(`pipeline: p\nparams: ${JSON.stringify({ values }).replaceAll('${', '$$${')}\nstages:\n  t: { run: touch x, matrix: { axes: { v: "\${params.values}" } } }\n`);
    for (const cell of one.cells) expect(selectOneCell(one, cell.id)).toBe(cell.index);
  }), { numRuns: 50 });
});

test('property: a target reads back as it was written', () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,6}$/);
  const value = fc.stringMatching(/^[A-Za-z0-9._-]{1,6}$/);
  fc.assert(fc.property(name, fc.option(name), fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9_]{0,4}$/), value), { selector: ([axis]) => axis, maxLength: 3 }), fc.boolean(), fc.boolean(), (stage, prefix, terms, before, after) => {
    const full = prefix === null ? stage : `${prefix}/${stage}`;
    const inside = terms.length === 0 ? '' : `[${terms.map(([axis, text]) => `${axis}=${text}`).join(',')}]`;
    const target = parseTarget(`${before ? '+' : ''}${full}${inside}${after ? '+' : ''}`);
    expect(target).toMatchObject({ stage: full, ancestors: before, descendants: after });
    expect(target.selection?.terms.map(term => [term.axis, term.value]) ?? []).toEqual(terms);
  }));
});
