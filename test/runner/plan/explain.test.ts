import { expect, test } from 'vitest';
import { PlanRig, reasonsOf, statesOf } from './plan-rig.ts';

const sweep = `
pipeline: p
params: { sizes: [1, 2, 3], rate: 0.5, log: 10, note: x }
stages:
  data: { run: "echo \${params.note} > \${out.d}", out: { d: d.txt } }
  train:
    run: "echo > \${out.m}"
    matrix: { axes: { size: "\${params.sizes}" } }
    in: { d: data.d }
    with: { size: "\${matrix.size}", rate: "\${params.rate}", log: "\${params.log}" }
    ignore: [with.log]
    out: { m: m.txt }
  score: { run: "cp \${in.m} \${out.s}", each: train, in: { m: train.m }, out: { s: s.txt } }
  all: { run: "cat \${in.s} > \${out.t}", in: { s: "score[*].s" }, out: { t: t.txt } }
`;

test('a reason tells old and new value and where they were written, in YAML and on the command line', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  const plan = await project.plan({ set: ['rate=0.25'] });
  const [reason] = project.explain(plan, 'train[size=1]').reasons;
  expect(reason).toMatchObject({ kind: 'part-changed', part: 'with.rate', before: 0.5, after: 0.25 });
  expect(reason!.kind === 'part-changed' && reason!.origins).toEqual([
    { kind: 'file', file: expect.stringMatching(/pipe\.yaml$/) as string, pointer: '/stages/train/with/rate' },
    { kind: 'command-line', text: expect.stringContaining('rate=0.25') as string },
  ]);
});

test('causes are followed to the cell that began it', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  const plan = await project.plan({ set: ['note=y'] });
  expect(plan.counts).toEqual({ fresh: 0, run: 1, pending: 7, stopped: 0 });
  const why = project.explain(plan, 'score[size=2]');
  expect(why.reasons).toEqual([{ kind: 'upstream', input: 'm', cell: 2 }]);
  expect(why.because[0]!.reasons).toEqual([{ kind: 'upstream', input: 'd', cell: 0 }]);
  expect(why.because[0]!.because[0]!.reasons).toMatchObject([{ kind: 'part-changed', part: 'run' }]);
  expect(why.estimateMs).toBe(1500);
  expect(why.comparedWith?.attempt).toBeGreaterThan(0);
});

test('an ignored part is shown and is no cause', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  const plan = await project.plan({ set: ['log=99'] });
  expect(plan.counts.fresh).toBe(8);
  expect(project.explain(plan, 'train[size=1]').reasons).toEqual([{ kind: 'ignored', part: 'with.log', before: 10, after: 99 }]);
});

test('a new point names the cached cell that is nearest, and what differs', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  await project.run({ set: ['rate=0.1', 'sizes=[7]'] });
  const plan = await project.plan({ set: ['sizes=[1,9]'] });
  const why = project.explain(plan, 'train[size=9]');
  expect(why.reasons).toEqual([{ kind: 'never-run' }]);
  expect(why.comparedWith).toBeNull();
  expect(why.nearest?.differences).toMatchObject([{ kind: 'part-changed', part: 'with.size', after: 9 }]);
});

test('parts that came and went are named', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  project.write('pipe.yaml', sweep.replace('rate: "${params.rate}", log', 'speed: "${params.rate}", log'));
  expect(reasonsOf(await project.plan(), 'train[size=1]')).toMatchObject([
    { kind: 'part-added', part: 'with.speed', after: 0.5 }, { kind: 'part-removed', part: 'with.rate', before: 0.5 },
  ]);
});

test('a gather is stale when one of its cells is, and names it', async () => {
  const project = new PlanRig({ 'pipe.yaml': sweep });
  await project.run();
  const plan = await project.plan({ set: ['sizes=[1,2,3,4]'] });
  expect(statesOf(plan)).toMatchObject({ 'score[size=3]': 'fresh', 'train[size=4]': 'run', 'score[size=4]': 'pending', all: 'pending' });
  expect(reasonsOf(plan, 'all')).toEqual([{ kind: 'upstream', input: 's', cell: 8 }]);
  // A cell less: the list differs, though all that is in it is known.
  const fewer = await project.plan({ set: ['sizes=[1,2]'] });
  expect(statesOf(fewer).all).toBe('run');
  expect(reasonsOf(fewer, 'all')).toMatchObject([{ kind: 'part-changed', part: 'in.s', before: 3, after: 2 }]);
});

const halving = `
pipeline: h
stages:
  train:
    run: "cp \${in.from} \${out.m}; echo > \${out.log}"
    matrix:
      axes: { size: [1, 2, 3, 4] }
      halving: { metric: loss, mode: min, param: steps, rungs: [10, 20], keep: 2 }
    with: { size: "\${matrix.size}" }
    in: { from: ./data }
    out: { m: m.txt, log: { path: log.jsonl, kind: metrics } }
  after: { run: "cp \${in.m} \${out.a}", each: train, in: { m: train.m }, out: { a: a.txt } }
  all: { run: "cat \${in.a} > \${out.t}", in: { a: "after[*].a" }, out: { t: t.txt } }
`;

test('halving: those that a decision leaves out are stopped, with all that only they feed', async () => {
  const project = new PlanRig({ 'pipe.yaml': halving, data: '' });
  const body = project.body;
  let survivors = ['size=1', 'size=3'];
  project.body = (cell, read) => (cell.action.kind === 'decision' ? JSON.stringify({ survivors }) : body(cell, read));
  const first = await project.run();
  expect(first.plan.counts).toMatchObject({ run: 4, stopped: 0 });
  expect(first.executed.filter(id => id.includes('rung=20') && id.startsWith('train['))).toEqual(['train[size=1,rung=20]', 'train[size=3,rung=20]']);
  const plan = await project.plan();
  expect(statesOf(plan)).toMatchObject({
    'train[size=1,rung=20]': 'fresh', 'train[size=2,rung=20]': 'stopped', 'after[size=2,rung=20]': 'stopped', 'after[size=2,rung=10]': 'fresh', all: 'fresh',
  });
  expect(plan.counts).toMatchObject({ run: 0, pending: 0, stopped: 4 });
  // A changed cohort is decided anew; until then nobody knows who goes on.
  survivors = ['size=2', 'size=3'];
  project.write('data', 'changed');
  const changed = await project.plan();
  expect(statesOf(changed)).toMatchObject({ 'train[size=2,rung=10]': 'run', 'train/decide[rung=10]': 'pending', 'train[size=2,rung=20]': 'pending' });
  expect(reasonsOf(changed, 'train[size=2,rung=20]')).toContainEqual({ kind: 'upstream', input: 'halving', cell: changed.graph.cells.findIndex(({ action }) => action.kind === 'decision') });
});
