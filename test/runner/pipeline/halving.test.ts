import { expect, test } from 'vitest';
import { dependenciesOf } from '../../../src/runner/pipeline/reader.ts';
import { ids, load, mistakes } from './rig/files.ts';

const pipeline = (halving: string, more = ''): string => `pipeline: p
params: { rungs: [100, 300, 900] }
stages:
  train:
    uses: train
    in: { images: ./images }
    matrix:
      axes: { seed: [1, 2, 3, 4] }
      halving: ${halving}
    with: { seed: "\${matrix.seed}" }
${more}`;
const usual = '{ metric: loss, mode: min, param: steps, rungs: "${params.rungs}", keep: 0.5, resume: { resume: model } }';

test('every point has a cell a rung, which resumes the rung before and waits for its decision', async () => {
  const graph = await load(pipeline(usual));
  expect(ids(graph)).toEqual([
    ...[1, 2, 3, 4].flatMap(seed => [100, 300, 900].map(rung => `train[seed=${seed},rung=${rung}]`)), 'train/decide[rung=100]', 'train/decide[rung=300]',
  ]);
  const [first, second, third] = [graph.cells[3]!, graph.cells[4]!, graph.cells[5]!];
  expect(first).toMatchObject({ with: { seed: 2, steps: 100 }, guard: null });
  expect(first.inputs.resume).toBeUndefined();
  expect(second).toMatchObject({ with: { seed: 2, steps: 300 }, guard: { decision: 12, member: 'seed=2' }, inputs: { resume: { kind: 'output', cell: 3, output: 'model' } } });
  expect(third).toMatchObject({ guard: { decision: 13, member: 'seed=2' }, inputs: { resume: { cell: 4 } } });
  expect(dependenciesOf(third).sort((a, b) => a - b)).toEqual([4, 13]);
});

test('decisions gather the metrics of their rung, and keep fewer and fewer', async () => {
  const graph = await load(pipeline(usual));
  expect(graph.cells[12]).toMatchObject({
    action: { kind: 'decision', metric: 'loss', mode: 'min', keep: 2, members: ['seed=1', 'seed=2', 'seed=3', 'seed=4'] }, guard: null,
    inputs: { metrics: { kind: 'gather', output: 'metrics', partial: true, items: [{ cell: 0 }, { cell: 3 }, { cell: 6 }, { cell: 9 }] } }, outputs: { survivors: { kind: 'file', path: 'survivors.json' } },
  });
  expect(graph.cells[13]).toMatchObject({ action: { keep: 1 }, inputs: { metrics: { items: [{ cell: 1 }, { cell: 4 }, { cell: 7 }, { cell: 10 }] } } });
  expect(graph.stages.map(stage => [stage.name, stage.first, stage.count, stage.axes])).toEqual([['train', 0, 12, ['seed', 'rung']], ['train/decide', 12, 2, ['rung']]]);
});

test.each([['2', [2, 2]], ['[3, 1]', [3, 1]], ['0.25', [1, 1]], ['"${params.rungs.0}"', null]])('keep: %s', async (keep, expected) => {
  const text = pipeline(usual.replace('0.5', keep));
  if (expected === null) return expect(await mistakes(text)).toEqual([expect.objectContaining({ code: 'bad-halving' })]);
  const graph = await load(text);
  expect(graph.cells.slice(12).map(cell => (cell.action.kind === 'decision' ? cell.action.keep : null))).toEqual(expected);
});

test('consumers choose a rung, or follow them all', async () => {
  const graph = await load(pipeline(usual, `  last: { uses: evaluate, matrix: { axes: { seed: [1, 2, 3, 4] } }, in: { model: "train[rung=900].model", images: ./images } }
  each: { uses: evaluate, each: train, in: { model: train.model, images: ./images } }
  all: { uses: fit, in: { runs: "train[*].metrics" }, partial: true }
`));
  expect(graph.cells.find(cell => cell.id === 'last[seed=2]')!.inputs.model).toMatchObject({ cell: 5 });
  expect(graph.stages.find(stage => stage.name === 'each')!.count).toBe(12);
  expect(graph.cells.at(-1)!.inputs.runs).toMatchObject({ items: { length: 12 } });
});

test('a command may resume, too: the first rung gets an empty word', async () => {
  const graph = await load(`pipeline: p
stages:
  t:
    run: train --from \${in.before} --steps \${matrix.rung} > \${out.m}
    out: { m: { path: m.jsonl, kind: metrics }, model: model.bin }
    matrix: { axes: { lr: [0.1, 0.01] }, halving: { metric: acc, mode: max, param: steps, rungs: [1, 2], keep: 1, resume: { before: model } } }
`);
  expect(graph.cells.map(cell => (cell.action.kind === 'shell' ? cell.action.command : null)).slice(0, 2)).toEqual([
    ['train --from ', "''", ' --steps 1 > ', { out: 'm' }], ['train --from ', { in: 'before' }, ' --steps 2 > ', { out: 'm' }],
  ]);
});

test.each([
  [usual.replace('"${params.rungs}"', '[1]'), /two values/],
  [usual.replace('"${params.rungs}"', '[1, 1]'), /twice/],
  [usual.replace('resume: { resume: model }', 'resume: { images: model }'), /in `in:` and in `resume:`/],
  [usual.replace('resume: { resume: model }', 'resume: { other: model }'), /no input `other`/],
  [usual.replace('0.5', '[1, 2]'), /must not grow/],
  [usual.replace('0.5', '[1]'), /1 numbers for 2 decisions/],
  [usual.replace('metric: loss', 'metric: loss, metrics: model'), /no metrics output `model`/],
])('%s is refused', async (halving, message) => {
  expect((await mistakes(pipeline(halving))).map(d => d.message)).toEqual([expect.stringMatching(message)]);
});
