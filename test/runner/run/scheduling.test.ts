import { readFileSync, rmSync, writeFileSync, chmodSync, existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/project.ts';

test('with --keep-going what does not depend on a failure goes on; without it running cells finish and no other starts', async () => {
  const pipeline = `
stages:
  bad:
    run: exit 1
    out: { o: a.txt }
  after:
    run: cp \${in.o} \${out.o}
    in: { o: bad.o }
    out: { o: b.txt }
  other:
    run: echo x > \${out.o}
    out: { o: c.txt }
  last:
    run: cp \${in.o} \${out.o}
    in: { o: other.o }
    out: { o: d.txt }
`;
  const going = await makeProject(pipeline).run({ keepGoing: true });
  expect(going.status).toEqual({ bad: 'failed', after: 'skipped', other: 'ran', last: 'ran' });
  expect(going.summary).toMatchObject({ ran: 2, failed: 1, skipped: 1, exitCode: 1 });
  const stopping = await makeProject(pipeline).run({ jobs: 1, keepGoing: false });
  expect(stopping.summary.failed).toBe(1);
  expect(stopping.status.last).not.toBe('ran');
  expect(stopping.finished('after').message).toMatch(/bad/);
});

test('a gather waits for all, fails with one, and with `partial` lists the failed one without a path', async () => {
  const stages = (partial: string): string => `
stages:
  part:
    matrix: { axes: { n: [1, 2, 3] } }
    run: test \${matrix.n} != 2; echo \${matrix.n} > \${out.o}
    out: { o: o.txt }
  all:
    run: cat \${in.parts} > \${out.o}
    in: { parts: "part[*].o" }${partial}
    out: { o: o.txt }
`;
  const strict = await makeProject(stages('')).run({ keepGoing: true });
  expect(strict.status.all).toBe('skipped');
  const project = makeProject(stages('\n    partial: true'));
  const lenient = await project.run({ keepGoing: true });
  expect(lenient.status).toMatchObject({ 'part[n=2]': 'failed', all: 'ran' });
  expect(project.output('all', 'o')).toBe('1\n3\n');
});

test('two cells with the same key run once', async () => {
  const project = makeProject(`
stages:
  one:
    run: echo $$ > \${out.o}
    out: { o: o.txt }
  two:
    run: echo $$ > \${out.o}
    out: { o: o.txt }
`);
  const { summary, events } = await project.run();
  expect(summary).toMatchObject({ ran: 1, fresh: 1 });
  expect(events.filter(({ event }) => event === 'cell.started')).toHaveLength(1);
  expect(project.output('one', 'o')).toBe(project.output('two', 'o'));
});

test('an input that is edited while a stage runs taints it; it runs once more; edited again, its consumers fail', async () => {
  const project = makeProject('', { 'data.txt': 'one' });
  const gate = new Gate(project.root, 'g');
  project.write('pipe.yaml', `
pipeline: p
stages:
  read:
    run: ${gate.wait}; cat \${in.d} > \${out.o}
    in: { d: ./data.txt }
    out: { o: o.txt }
  use:
    run: cp \${in.o} \${out.o}
    in: { o: read.o }
    out: { o: u.txt }
`);
  const running = project.run();
  const first = await gate.reached();
  project.write('data.txt', 'two');
  await first();
  await gate.pass();
  const outcome = await running;
  expect(outcome.status).toEqual({ read: 'ran', use: 'ran' });
  expect(outcome.of('notice').map(({ text }) => text).join()).toMatch(/data\.txt/);
  expect(project.output('use', 'o')).toBe('two');

  project.write('data.txt', 'three');
  const again = project.run();
  for (const text of ['four', 'five']) {
    const open = await gate.reached();
    project.write('data.txt', text);
    await open();
  }
  const { status, summary } = await again;
  expect(status).toEqual({ read: 'tainted', use: 'skipped' });
  expect(summary).toMatchObject({ tainted: 1, exitCode: 1 });
  expect(project.output('use', 'o')).toBe('two');
  const last = project.run();
  await gate.pass();
  expect((await last).summary.exitCode).toBe(0);
  expect(project.output('use', 'o')).toBe('five');
});

test('a stage that damages its input fails, the input is put aside, and the next run makes it again', async () => {
  const project = makeProject(`
stages:
  make:
    run: echo good > \${out.o}
    out: { o: o.txt }
  break:
    run: chmod u+w \${in.o}; echo bad > \${in.o}; touch \${out.p}
    in: { o: make.o }
    out: { p: p.txt }
`);
  const { finished, status } = await project.run();
  expect(status).toEqual({ make: 'ran', break: 'failed' });
  expect(finished('break')).toMatchObject({ cause: 'damaged-input' });
  expect(readdirSync(project.path('cache/quarantine'))).toHaveLength(1);
  project.write('pipe.yaml', project.read('pipe.yaml').replace('chmod u+w ${in.o}; echo bad > ${in.o}; touch', 'cp ${in.o}'));
  const repaired = await project.run();
  expect(repaired.status).toEqual({ make: 'ran', break: 'ran' });
  expect(project.output('break', 'p')).toBe('good\n');
});

test('a missing output fails the stage and names it; the last good output stays', async () => {
  const project = makeProject("stages:\n  s:\n    run: 'test -e ${in.flag}; read f < ${in.flag}; test \"$f\" = skip || echo good > ${out.o}'\n    in: { flag: ./flag.txt }\n    out: { o: o.txt }\n", { 'flag.txt': 'write\n' });
  await project.run();
  project.write('flag.txt', 'skip\n');
  const { finished } = await project.run();
  expect(finished('s')).toMatchObject({ status: 'failed', cause: 'missing-output', message: 'the output o (o.txt) was not written' });
  expect(project.output('s', 'o')).toBe('good\n');
});

test('a temporary output goes after its last reader, costs nothing when nothing changed, and is made again when it is needed', async () => {
  const pipeline = (suffix: string): string => `pipeline: p
stages:
  big:
    run: echo big > \${out.o}
    out: { o: { path: o.txt, temp: true } }
  small:
    run: cat \${in.o} ${suffix}> \${out.o}
    in: { o: big.o }
    out: { o: s.txt }
`;
  const project = makeProject('');
  project.write('pipe.yaml', pipeline(''));
  await project.run();
  expect(artefactNames(project.path('cache/artefacts'))).toEqual(['s.txt']);
  expect((await project.run()).summary).toMatchObject({ ran: 0, fresh: 2 });
  project.write('pipe.yaml', pipeline('/dev/null '));
  expect((await project.run()).status).toEqual({ big: 'ran', small: 'ran' });
});

function artefactNames(folder: string): string[] {
  return readdirSync(folder).flatMap(digest => readdirSync(`${folder}/${digest}`)).sort();
}

test('an artefact that vanishes while the run is on is made again by its stage', async () => {
  const project = makeProject('');
  const gate = new Gate(project.root, 'g');
  project.write('pipe.yaml', `pipeline: p
stages:
  make:
    run: echo x > \${out.o}
    out: { o: o.txt }
  slow:
    run: ${gate.wait}; echo y > \${out.o}
    needs: [make]
    out: { o: slow.txt }
  use:
    run: cat \${in.o} \${in.s} > \${out.u}
    in: { o: make.o, s: slow.o }
    out: { u: u.txt }
`);
  const running = project.run();
  const open = await gate.reached();
  expect(artefactNames(project.path('cache/artefacts'))).toEqual(['o.txt']);
  for (const digest of readdirSync(project.path('cache/artefacts'))) {
    chmodSync(project.path('cache/artefacts', digest), 0o755);
    rmSync(project.path('cache/artefacts', digest), { recursive: true });
  }
  await open();
  const { status, of } = await running;
  expect(status).toEqual({ make: 'ran', slow: 'ran', use: 'ran' });
  expect(of('cell.started').map(({ cell }) => cell)).toEqual(['make', 'slow', 'make', 'use']);
  expect(project.output('use', 'u')).toBe('x\ny\n');
});

test('`needs` orders without data; --force runs again; `always` is never fresh', async () => {
  const project = makeProject(`
stages:
  a:
    run: echo a >> ${'${params.log}'}; echo a > \${out.o}
    out: { o: a.txt }
  b:
    run: echo b >> ${'${params.log}'}; echo b > \${out.o}
    needs: [a]
    out: { o: b.txt }
  c:
    run: echo c >> ${'${params.log}'}
    always: true
params: { log: LOG }
`);
  project.write('pipe.yaml', project.read('pipe.yaml').replace('LOG', project.path('log.txt')));
  await project.run({ jobs: 4 });
  const order = project.read('log.txt').trim().split('\n');
  expect(order.indexOf('a')).toBeLessThan(order.indexOf('b'));
  expect((await project.run()).status).toEqual({ a: 'fresh', b: 'fresh', c: 'ran' });
  expect((await project.run({ force: ['a'] })).status).toEqual({ a: 'ran', b: 'fresh', c: 'ran' });
});

test('halving: a decision names the survivors, the others are stopped and gathers leave them out', async () => {
  const project = makeProject(`
stages:
  train:
    matrix:
      axes: { lr: [1, 2, 3, 4] }
      halving: { metric: loss, mode: min, param: epochs, rungs: [1, 2], keep: 0.5, resume: { from: model } }
    run: echo \${matrix.lr} > \${out.model}; echo '{"metric":"loss","value":'\${matrix.lr}'}' > \${out.m}
    out: { model: model.txt, m: { path: m.jsonl, kind: metrics } }
`);
  const outcome = await project.run().catch((error: unknown) => error as Error);
  if (outcome instanceof Error) throw outcome;
  expect(outcome.summary).toMatchObject({ stopped: 2, failed: 0 });
});

test('a budget of time stops at the end of a cell and says so', async () => {
  const project = makeProject('');
  const gate = new Gate(project.root, 'g');
  project.write('pipe.yaml', `pipeline: p\nstages:\n  a:\n    run: ${gate.wait}; echo > \${out.o}\n    out: { o: a.txt }\n  b:\n    run: cp \${in.o} \${out.o}\n    in: { o: a.o }\n    out: { o: b.txt }\n`);
  const running = project.run({ budget: { gpuHours: null, wallMs: 1 } });
  const outcome = await Promise.race([running, gate.pass().then(() => running)]);
  expect(outcome.summary.exitCode).toBe(1);
  expect(outcome.of('notice').some(({ text }) => /time .* is over/.test(text))).toBe(true);
  expect(outcome.status.b).toBe('skipped');
});

test('the published copy is written, and not while the stage fails', async () => {
  const project = makeProject("stages:\n  s:\n    run: cat ${in.d} > ${out.o}; ! grep -q bad ${in.d}\n    in: { d: ./d.txt }\n    out: { o: o.txt }\n    publish: { o: results/o.txt }\n", { 'd.txt': 'good' });
  await project.run();
  expect(project.read('results/o.txt')).toBe('good');
  project.write('d.txt', 'bad');
  await project.run();
  expect(project.read('results/o.txt')).toBe('good');
  expect(existsSync(project.path('results'))).toBe(true);
  writeFileSync(project.path('results/o.txt'), 'edited');
  project.write('d.txt', 'good');
  await project.run();
  expect(readFileSync(project.path('results/o.txt'), 'utf8')).toBe('good');
});
