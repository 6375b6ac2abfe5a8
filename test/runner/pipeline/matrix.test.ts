import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { axisValues } from '../../../src/runner/pipeline/axis.ts';
import { formatCellId, formatNumber } from '../../../src/runner/pipeline/cell-id.ts';
import type { Json } from '../../../src/runner/json.ts';
import { ids, load, mistakes } from './rig/files.ts';

const withMatrix = (matrix: string): string => `pipeline: p\nstages:\n  t:\n    run: touch x\n    matrix: ${matrix}\n`;
const points = async (matrix: string): Promise<string[]> => ids(await load(withMatrix(matrix))).map(id => id.replace(/^t\[(.*)\]$/, '$1'));

describe('axes', () => {
  test.each<[Json, Json[]]>([
    [[3, 'a', true, null], [3, 'a', true, null]],
    [{ from: 1, to: 3 }, [1, 2, 3]],
    [{ from: 3, to: 1, step: -1 }, [3, 2, 1]],
    [{ from: 0, to: 1, step: 0.1 }, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]],
    [{ from: 1, to: 4, step: 2 }, [1, 3]],
    [{ linear: [0, 1], count: 5 }, [0, 0.25, 0.5, 0.75, 1]],
    [{ log: [1, 1000], count: 4 }, [1, 10, 100, 1000]],
    [{ log: [1e9, 1e11], count: 3 }, [1e9, 1e10, 1e11]],
    [{ log: [5, 5], count: 1 }, [5]],
  ])('%j', (axis, values) => expect(axisValues(axis)).toEqual(values));

  test.each([[{ from: 1, to: 0 }], [{ from: 0, to: 1, step: 0 }], [{ log: [0, 1], count: 3 }], [{ linear: [0, 1], count: 0 }], [{ from: 'a', to: 2 }], ['a'], [[]], [{ from: 1, to: 1e9 }]])(
    '%j is refused', axis => expect(axisValues(axis as Json)).toHaveProperty('message'));
});

test('ids: numbers in shortest form, strings bare when they can be, else as JSON', () => {
  expect([1e9, 3e10, 12345678, 1000, 0.001, 1e-7, -2, 1e21, 0.1].map(formatNumber)).toEqual(['1e9', '3e10', '12345678', '1000', '0.001', '1e-7', '-2', '1e21', '0.1']);
  expect(formatCellId('train', { size: 'd32l2', flops: 1e9, seed: 1 })).toBe('train[size=d32l2,flops=1e9,seed=1]');
  expect(formatCellId('train', { a: 'two words', b: true, c: null, d: { y: 1, x: [1] }, e: '' })).toBe('train[a="two words",b=true,c=null,d={"x":[1],"y":1},e=""]');
  expect(formatCellId('train', {})).toBe('train');
});

test('the first axis changes slowest, axes keep their written order', async () => {
  expect(await points('{ axes: { b: [2, 1], a: [x, y] } }')).toEqual(['b=2,a=x', 'b=2,a=y', 'b=1,a=x', 'b=1,a=y']);
});

test('zipped columns move together, before or after the axes as written', async () => {
  expect(await points('{ axes: { s: [1, 2] }, zip: { a: [x, y], b: [p, q] } }')).toEqual(['s=1,a=x,b=p', 's=1,a=y,b=q', 's=2,a=x,b=p', 's=2,a=y,b=q']);
  expect(await points('{ zip: { a: [x, y], b: [p, q] }, axes: { s: [1, 2] } }')).toEqual(['a=x,b=p,s=1', 'a=x,b=p,s=2', 'a=y,b=q,s=1', 'a=y,b=q,s=2']);
});

test('exclude leaves out points and parts of points; include adds whole ones at the end', async () => {
  expect(await points('{ axes: { a: [1, 2], b: [1, 2] }, exclude: [{ a: 1, b: 2 }, { a: 2 }], include: [{ b: 9, a: 8 }] }')).toEqual(['a=1,b=1', 'a=8,b=9']);
});

test('an included point that is there already, or lacks an axis, is a mistake', async () => {
  expect(await mistakes(withMatrix('{ axes: { a: [1, 2] }, include: [{ a: 1 }] }'))).toEqual([expect.objectContaining({ code: 'duplicate-value' })]);
  expect(await mistakes(withMatrix('{ axes: { a: [1, 2], b: [1] }, include: [{ a: 3 }] }'))).toEqual([expect.objectContaining({ code: 'incomplete-point' })]);
});

test('sample draws the same points each time, in matrix order, and others with another seed', async () => {
  const draw = (seed: number): Promise<string[]> => points(`{ axes: { a: { from: 1, to: 50 } }, sample: { count: 10, seed: ${seed} } }`);
  const one = await draw(1);
  expect(one).toHaveLength(10);
  expect(await draw(1)).toEqual(one);
  expect(await draw(2)).not.toEqual(one);
  const numbers = one.map(id => Number(id.slice(2)));
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
});

test('a matrix that is too large is refused at once', async () => {
  const found = await mistakes(withMatrix('{ axes: { a: { from: 1, to: 1000 }, b: { from: 1, to: 1000 }, c: { from: 1, to: 1000 } } }'));
  expect(found).toEqual([expect.objectContaining({ code: 'matrix-too-large' })]);
});

test('everything may come from params', async () => {
  const graph = await load(`pipeline: p
params: { sizes: [a, b], n: 2, left: [{ size: a, seed: 2 }], columns: [5, 6] }
stages:
  t:
    run: touch x
    matrix: { axes: { size: "\${params.sizes}", seed: { from: 1, to: "\${params.n}" } }, zip: { c: "\${params.columns}" }, exclude: "\${params.left}" }
`);
  expect(ids(graph)).toEqual(['t[size=a,seed=1,c=5]', 't[size=a,seed=1,c=6]', 't[size=b,seed=1,c=5]', 't[size=b,seed=1,c=6]', 't[size=b,seed=2,c=5]', 't[size=b,seed=2,c=6]']);
});

test('property: the product has every combination once, in order, with ids of its own', async () => {
  const value = fc.oneof(fc.integer({ min: -5, max: 1e7 }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string({ maxLength: 4 }), fc.boolean());
  const axis = fc.uniqueArray(value, { minLength: 1, maxLength: 4, selector: v => (Object.is(v, -0) ? 0 : v), comparator: (a, b) => String(a) === String(b) });
  await fc.assert(fc.asyncProperty(fc.array(axis, { minLength: 1, maxLength: 4 }), fc.nat(3), async (axes, drop) => {
    const named = Object.fromEntries(axes.map((values, index) => [`axis${index}`, values]));
    const first = axes[0]!;
    const exclude = first.length > drop + 1 ? first.slice(0, drop).map(v => ({ axis0: v })) : [];
    const graph = await load(`pipeline: p\nstages:\n  t:\n    run: touch x\n    matrix: ${JSON.stringify({ axes: named, exclude }).replaceAll('${', '$$${')}\n`);
    const kept = [first.slice(exclude.length), ...axes.slice(1)];
    const expected = kept.reduce<Json[][]>((so, values) => so.flatMap(point => values.map(v => [...point, v])), [[]]);
    expect(graph.cells.map(cell => Object.values(cell.point))).toEqual(JSON.parse(JSON.stringify(expected)));
    expect(new Set(graph.cells.map(cell => cell.id)).size).toBe(graph.cells.length);
    expect(graph.stages[0]).toMatchObject({ axes: Object.keys(named), first: 0, count: expected.length });
  }), { numRuns: 60 });
});
