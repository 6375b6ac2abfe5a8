import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { settle, changedInputs } from '../../../src/runner/plan/settle.ts';
import { PlanRig, reasonsOf, statesOf } from './plan-rig.ts';

const chain = (extra = ''): string => `
pipeline: p
params: { size: 1, rate: 0.5 }
stages:
  make: { run: "echo \${params.size} > \${out.a}", in: { d: ./data }, out: { a: a.txt }${extra} }
  mid: { run: "cp \${in.a} \${out.b}", in: { a: make.a }, out: { b: b.txt } }
  end: { run: "cp \${in.b} \${out.c}", in: { b: mid.b }, out: { c: c.txt } }
  aside: { run: "echo \${params.rate} > \${out.x}", out: { x: x.txt } }
`;
const rig = (yaml = chain(), more: Readonly<Record<string, string>> = {}): PlanRig => new PlanRig({ 'pipe.yaml': yaml, 'data/one': '1', 'data/sub/two': '2', ...more });

test('at first, cells without inputs from others run, and the rest is pending', async () => {
  const project = rig();
  const { plan, executed } = await project.run();
  expect(statesOf(plan)).toEqual({ make: 'run', mid: 'pending', end: 'pending', aside: 'run' });
  expect(plan.counts).toEqual({ fresh: 0, run: 2, pending: 2, stopped: 0 });
  expect(reasonsOf(plan, 'make')).toEqual([{ kind: 'never-run' }]);
  expect(reasonsOf(plan, 'end')).toEqual([{ kind: 'upstream', input: 'b', cell: 1 }]);
  expect(executed).toHaveLength(4);
});

test('then all is fresh, and a plan writes nothing', async () => {
  const project = rig();
  await project.run();
  await project.plan();
  const changes = project.store.database.prepare('SELECT total_changes()').pluck();
  const before = changes.get();
  const plan = await project.plan();
  expect(plan.counts).toEqual({ fresh: 4, run: 0, pending: 0, stopped: 0 });
  // Rows of files younger than two seconds are looked at again, and are all that may be written.
  expect(Number(changes.get()) - Number(before)).toBeLessThanOrEqual(2);
});

test('a changed param runs what uses it; going back to the old value is a hit', async () => {
  const project = rig();
  await project.run();
  const changed = await project.run({ set: ['size=2'] });
  expect(statesOf(changed.plan)).toEqual({ make: 'run', mid: 'pending', end: 'pending', aside: 'fresh' });
  expect(reasonsOf(changed.plan, 'make')).toMatchObject([{ kind: 'part-changed', part: 'run' }]);
  expect((await project.plan()).counts.fresh).toBe(4);
  expect((await project.plan({ set: ['size=2'] })).counts.fresh).toBe(4);
});

test('comments, key order, names of stages and of the pipeline, and resources are in no key', async () => {
  const project = rig();
  await project.run();
  project.write('pipe.yaml', `# a comment
pipeline: other
title: Something
stages:
  renamed: { out: { x: x.txt }, run: "echo \${params.rate} > \${out.x}", resources: { cpu: 2 }, timeout: 3h, retries: { times: 2 } }
  ending: { in: { b: middle.b }, run: "cp \${in.b} \${out.c}", out: { c: c.txt } }
  middle: { in: { a: first.a }, run: "cp \${in.a} \${out.b}", out: { b: b.txt } }
  first: { in: { d: ./data }, run: "echo \${params.size} > \${out.a}", out: { a: a.txt } }
params: { rate: 0.5, size: 1 }
`);
  expect((await project.plan()).counts).toEqual({ fresh: 4, run: 0, pending: 0, stopped: 0 });
});

test('early cut-off: when a cell comes out the same, those after it are not run', async () => {
  const project = rig();
  project.body = cell => cell.id;
  await project.run();
  const { plan, executed } = await project.run({ set: ['size=2'] });
  expect(plan.counts).toEqual({ fresh: 1, run: 1, pending: 2, stopped: 0 });
  expect(executed).toEqual(['make']);
  expect((await project.plan({ set: ['size=2'] })).counts.fresh).toBe(4);
});

test('content, names and executable bits of a project folder count; times do not', async () => {
  const project = rig();
  await project.run();
  execFileSync('touch', ['-d', '2001-01-01', join(project.root, 'data/one')]);
  expect((await project.plan()).counts.fresh).toBe(4);
  for (const [change, file, how] of [
    [() => project.write('data/one', 'x'), 'data/one', 'edited'],
    [() => project.write('data/sub/new', ''), 'data/sub/new', 'added'],
    [() => project.remove('data/sub/two'), 'data/sub/two', 'removed'],
    [() => chmodSync(join(project.root, 'data/one'), 0o755), 'data/one', 'edited'],
  ] as const) {
    change();
    const { plan, executed } = await project.run();
    expect(reasonsOf(plan, 'make')).toEqual([{ kind: 'input-changed', input: 'd', file, change: how }]);
    expect(executed).toContain('make');
  }
});

test('a glob is its sorted list of files', async () => {
  const project = rig(`
pipeline: p
stages:
  count: { run: "wc \${in.f} > \${out.n}", in: { f: "./src/**/*.{py,txt}" }, out: { n: n.txt } }
`, { 'src/a.py': '1', 'src/deep/er/b.txt': '2', 'src/c.md': '3', 'src/.hidden/d.py': '4', 'src/node_modules/e.py': '5' });
  await project.run();
  for (const path of ['src/c.md', 'src/.hidden/d.py', 'src/node_modules/e.py']) project.write(path, 'changed');
  expect((await project.plan()).counts.fresh).toBe(1);
  project.write('src/deep/new.py', '');
  expect(reasonsOf(await project.plan(), 'count')).toEqual([{ kind: 'input-changed', input: 'f', file: 'src/deep/new.py', change: 'added' }]);
  project.remove('src/deep/new.py');
  project.write('src/deep/er/b.txt', '3');
  expect(reasonsOf(await project.plan(), 'count')).toEqual([{ kind: 'input-changed', input: 'f', file: 'src/deep/er/b.txt', change: 'edited' }]);
});

test('inputs that are not there are refused together, by stage and name', async () => {
  const project = rig(`
pipeline: p
stages:
  one: { run: "cat \${in.a}", in: { a: ./none.txt } }
  two: { run: "cat \${in.b}", in: { b: "./nothing/*.txt" } }
`);
  await expect(project.plan()).rejects.toThrow('one.in.a: there is no ./none.txt\ntwo.in.b: no file matches nothing/*.txt');
  project.write('none.txt', '');
  expect((await project.plan({ targets: ['one'] })).selected.size).toBe(1);
});

test('an output that is gone or damaged is made again, and said so', async () => {
  const project = rig();
  const { plan } = await project.run();
  void plan;
  const fresh = await project.plan();
  const artefact = fresh.cells[1]!.record!.outputs['b']!;
  project.store.artefacts.remove(artefact);
  const gone = await project.plan();
  expect(statesOf(gone)).toEqual({ make: 'fresh', mid: 'run', end: 'pending', aside: 'fresh' });
  expect(reasonsOf(gone, 'mid')).toEqual([{ kind: 'output-gone', output: 'b', neededBy: null }]);
  // It comes out the same, so what follows is fresh.
  expect(await project.execute(gone)).toEqual(['mid']);
  const path = project.store.artefacts.pathOf(artefact);
  chmodSync(path, 0o644);
  writeFileSync(path, 'edited by hand');
  const damaged = await project.plan();
  expect(reasonsOf(damaged, 'mid')).toEqual([{ kind: 'output-damaged', output: 'b' }]);
  expect(await project.execute(damaged)).toEqual(['mid']);
  expect((await project.plan()).counts.fresh).toBe(4);
});

test('targets: only what they need is planned, and a fresh target needs nothing', async () => {
  const project = rig();
  const first = await project.plan({ targets: ['mid'] });
  expect([...first.selected].sort()).toEqual([0, 1]);
  expect(first.counts).toEqual({ fresh: 0, run: 1, pending: 1, stopped: 0 });
  await project.execute(first);
  const again = await project.plan({ targets: ['mid'] });
  expect([...again.selected]).toEqual([1]);
  expect(again.counts.fresh).toBe(1);
  project.store.artefacts.remove(again.cells[0]!.record!.outputs['a']!);
  expect((await project.plan({ targets: ['mid'] })).counts).toEqual({ fresh: 1, run: 0, pending: 0, stopped: 0 });
  const forced = await project.plan({ targets: ['mid'], force: ['mid'] });
  // Now its input is needed, and not there.
  expect(statesOf(forced)).toMatchObject({ make: 'run', mid: 'run' });
  expect(reasonsOf(forced, 'make')).toEqual([{ kind: 'output-gone', output: 'a', neededBy: 'mid' }]);
});

test('the plan key stands for a cell whose producers are not known any more, when nobody asks for these', async () => {
  const project = rig();
  const { plan } = await project.run();
  for (const { planKey } of [plan.cells[0]!, plan.cells[1]!]) project.store.results.removeRecord(planKey);
  project.store.database.exec(`DELETE FROM record WHERE attempt IN (SELECT id FROM attempt WHERE cell IN ('make', 'mid'))`);
  const only = await project.plan({ targets: ['end'] });
  expect(only.cells[2]).toMatchObject({ state: 'fresh', actionKey: null });
  expect([...only.selected]).toEqual([2]);
  const all = await project.plan();
  expect(statesOf(all)).toMatchObject({ make: 'run', mid: 'pending', end: 'pending' });
  expect(reasonsOf(all, 'make')).toEqual([{ kind: 'output-gone', output: 'a', neededBy: null }]);
  expect(await project.execute(all)).toEqual(['make', 'mid']);
});

test('the action key outranks the plan key: forced with another result, what follows is stale', async () => {
  const project = rig();
  await project.run();
  const body = project.body;
  project.body = (cell, read) => (cell.id === 'make' ? 'came out different' : body(cell, read));
  const forced = await project.plan({ targets: ['make'], force: ['make'] });
  expect(forced.cells[0]!.reasons).toEqual([{ kind: 'forced' }]);
  expect(await project.execute(forced)).toEqual(['make']);
  const after = await project.plan();
  expect(statesOf(after)).toEqual({ make: 'fresh', mid: 'run', end: 'pending', aside: 'fresh' });
  expect(reasonsOf(after, 'mid')).toEqual([{ kind: 'upstream', input: 'a', cell: 0 }]);
  expect(await project.execute(after)).toEqual(['mid', 'end']);
  // Two results for one plan key: neither it nor those of its consumers stand for anything.
  const { planKey } = after.cells[0]!;
  expect(project.store.results.lookup(planKey)).toBeNull();
  expect((await project.plan()).counts.fresh).toBe(4);
});

test('always: run each time, and what follows is settled by what it reads', async () => {
  const project = rig(chain(', always: true'));
  await project.run();
  const { plan, executed } = await project.run();
  expect(statesOf(plan)).toMatchObject({ make: 'run', mid: 'pending' });
  expect(reasonsOf(plan, 'make')).toEqual([{ kind: 'always' }]);
  expect(plan.cells[0]!.cacheable).toMatchObject({ ok: false });
  expect(executed).toEqual(['make']);
  expect(project.store.results.lookup(plan.cells[1]!.planKey)).toBeNull();
});

const temporary = `
pipeline: p
params: { last: 1 }
stages:
  big: { run: "echo > \${out.t}", out: { t: { path: t.bin, temp: true } } }
  bigger: { run: "cp \${in.t} \${out.u}", in: { t: big.t }, out: { u: { path: u.bin, temp: true } } }
  small: { run: "echo \${params.last}; cp \${in.u} \${out.s}", in: { u: bigger.u }, out: { s: s.txt } }
`;

test('temporary outputs that were dropped are made again only when somebody needs them', async () => {
  const project = new PlanRig({ 'pipe.yaml': temporary });
  const { plan } = await project.run();
  void plan;
  const fresh = await project.plan();
  for (const index of [0, 1]) for (const artefact of Object.values(fresh.cells[index]!.record!.outputs)) project.store.artefacts.remove(artefact);
  expect((await project.plan()).counts).toEqual({ fresh: 3, run: 0, pending: 0, stopped: 0 });
  const changed = await project.plan({ set: ['last=2'] });
  expect(statesOf(changed)).toEqual({ big: 'run', bigger: 'pending', small: 'pending' });
  expect(reasonsOf(changed, 'big')).toEqual([{ kind: 'output-gone', output: 't', neededBy: 'bigger' }]);
  expect(changed.selected.size).toBe(3);
});

test('equal cells are known as one', async () => {
  const project = new PlanRig({ 'pipe.yaml': `
pipeline: p
stages:
  a: { run: "echo 1 > \${out.x}", out: { x: x.txt } }
  b: { run: "echo 1 > \${out.x}", out: { x: x.txt } }
  c: { run: "echo 2 > \${out.x}", out: { x: x.txt } }
` });
  const { plan, executed } = await project.run();
  expect(plan.cells.map(({ sameAs }) => sameAs)).toEqual([null, 0, null]);
  expect(executed).toEqual(['a', 'c']);
});

test('a cell that failed or was tainted says so the next time', async () => {
  const project = rig();
  project.body = () => null;
  await project.run({ targets: ['make'] });
  const plan = await project.plan({ targets: ['make'] });
  expect(reasonsOf(plan, 'make')).toEqual([{ kind: 'failed-before', attempt: 1, message: 'it broke' }]);
  project.store.database.exec(`UPDATE attempt SET status = 'tainted'`);
  expect(reasonsOf(await project.plan({ targets: ['make'] }), 'make')).toEqual([{ kind: 'tainted-before', attempt: 1 }]);
});

test('environment: what is passed or set is keyed by value, a secret is not', async () => {
  const project = rig(`
pipeline: p
stages:
  e: { run: "env > \${out.e}", out: { e: e.txt }, env: { pass: [LANG], set: { A: "1" }, secret: [TOKEN] } }
`);
  await project.run({ environment: { LANG: 'C', TOKEN: 'x' } });
  expect((await project.plan({ environment: { LANG: 'C', TOKEN: 'y', OTHER: 'z' } })).counts.fresh).toBe(1);
  const plan = await project.plan({ environment: { LANG: 'de' } });
  expect(reasonsOf(plan, 'e')).toMatchObject([{ kind: 'part-changed', part: 'env.LANG', before: 'C', after: 'de' }]);
  expect(reasonsOf(await project.plan({ environment: {} }), 'e')).toMatchObject([{ before: 'C', after: null }]);
});

test('platform facts and interpreters count where a stage lists them', async () => {
  const project = rig(`
pipeline: p
stages:
  free: { run: "echo > \${out.e}", out: { e: e.txt } }
  bound: { run: "echo 2 > \${out.e}", out: { e: e.txt }, platform: [backend, os] }
  python: { run: "python3 -c 1 > \${out.e}", out: { e: e.txt }, interpreter: python3 }
`);
  await project.run();
  const plan = await project.plan({ platform: { backend: 'other', interpreters: () => 'Python 4' } });
  expect(statesOf(plan)).toEqual({ free: 'fresh', bound: 'run', python: 'run' });
  expect(reasonsOf(plan, 'bound')).toMatchObject([{ kind: 'part-changed', part: 'platform.backend', before: 'test', after: 'other' }]);
  expect(reasonsOf(plan, 'python')).toMatchObject([{ part: 'interpreter', before: 'python3 1.0', after: 'Python 4' }]);
});

test('inputs that change after they were hashed are named', async () => {
  const project = rig();
  const plan = await project.plan();
  const { snapshot } = settle(plan, 0, () => 'failed');
  expect(changedInputs(snapshot)).toEqual([]);
  execFileSync('touch', [join(project.root, 'data/one')]);
  expect(changedInputs(snapshot)).toEqual([]);
  project.write('data/sub/two', '3');
  expect(changedInputs(snapshot)).toEqual(['data/sub/two']);
  project.remove('data');
  expect(changedInputs(snapshot)).toEqual(['data']);
});

test('history gives estimates, of the cell or of its stage, and the critical path', async () => {
  const project = rig();
  await project.run();
  const plan = await project.plan({ set: ['size=2'] });
  expect(plan.cells.map(({ estimateMs }) => estimateMs)).toEqual([1500, 1500, 1500, null]);
  expect(plan.estimateMs).toBe(4500);
});
