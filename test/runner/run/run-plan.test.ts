import { existsSync, readdirSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeProject } from '../../rig/project.ts';

test('runs stages in order, commits their outputs, and runs nothing the second time', async () => {
  const project = makeProject(
    `
stages:
  make:
    run: cat \${in.source} > \${out.copy}; echo hello
    in: { source: ./source.txt }
    out: { copy: copy.txt }
  count:
    run: wc -c < \${in.copy} > \${out.size}
    in: { copy: make.copy }
    out: { size: size.txt }
`,
    { 'source.txt': 'four' },
  );
  const first = await project.run();
  expect(first.status).toEqual({ make: 'ran', count: 'ran' });
  expect(first.summary).toMatchObject({ ran: 2, fresh: 0, failed: 0, exitCode: 0 });
  expect(project.output('count', 'size').trim()).toBe('4');
  expect(first.of('log').map(({ cell, text }) => [cell, text])).toEqual([['make', 'hello']]);
  expect(readdirSync(project.path('cache/work'))).toEqual([]);

  const second = await project.run();
  expect(second.status).toEqual({ make: 'fresh', count: 'fresh' });
  expect(second.summary).toMatchObject({ ran: 0, fresh: 2, exitCode: 0 });
});

test('early cut-off: a consumer whose input came out the same does not run', async () => {
  const project = makeProject(
    `
stages:
  first:
    run: tr -d '\\n ' < \${in.source} > \${out.copy}
    in: { source: ./source.txt }
    out: { copy: copy.txt }
  second:
    run: cp \${in.copy} \${out.copy}
    in: { copy: first.copy }
    out: { copy: copy2.txt }
`,
    { 'source.txt': 'a b' },
  );
  await project.run();
  project.write('source.txt', 'ab\n');
  const again = await project.run();
  expect(again.status).toEqual({ first: 'ran', second: 'fresh' });
  expect((await project.run()).summary).toMatchObject({ ran: 0, fresh: 2 });
});

test('deleted outputs come back without running', async () => {
  const project = makeProject("stages:\n  make:\n    run: echo x > ${out.o}\n    out: { o: o.txt }\n");
  await project.run();
  rmSync(project.path('cache/out'), { recursive: true });
  const again = await project.run();
  expect(again.status).toEqual({ make: 'fresh' });
  expect(project.output('make', 'o')).toBe('x\n');
});

test('a failure stops new cells, names the exit code, and keeps the folder with a script', async () => {
  const project = makeProject(`
stages:
  bad:
    run: echo before; echo why >&2; exit 7
    out: { o: o.txt }
  after:
    run: cp \${in.o} \${out.o}
    in: { o: bad.o }
    out: { o: p.txt }
`);
  const { status, summary, finished } = await project.run();
  expect(status).toEqual({ bad: 'failed', after: 'skipped' });
  expect(summary).toMatchObject({ ran: 0, failed: 1, skipped: 1, exitCode: 1 });
  const bad = finished('bad');
  expect(bad).toMatchObject({ cause: 'exit', message: 'exit code 7', tail: ['before', 'why'] });
  expect(existsSync(`${bad.folder}/run.sh`)).toBe(true);
});

test('a cell behind a fresh one starts once, and its consumers after it', async () => {
  const project = makeProject(`
stages:
  a:
    run: echo a > \${out.o}
    out: { o: o.txt }
  b:
    matrix: { axes: { n: [1, 2, 3] } }
    run: cat \${in.o} > \${out.o}; echo \${matrix.n} >> \${out.o}
    in: { o: a.o }
    out: { o: o.txt }
  c:
    each: b
    run: cat \${in.o} > \${out.o}
    in: { o: b.o }
    out: { o: o.txt }
`);
  await project.run();
  project.write('pipe.yaml', project.read('pipe.yaml').replaceAll('cat ${in.o}', 'cat -n ${in.o}'));
  const { of, summary } = await project.run();
  const started = of('cell.started').map(({ cell }) => cell);
  expect(started.toSorted()).toEqual(['b[n=1]', 'b[n=2]', 'b[n=3]', 'c[n=1]', 'c[n=2]', 'c[n=3]']);
  expect(of('cell.finished').map(({ cell }) => cell).toSorted()).toEqual(['a', ...started].toSorted());
  expect(summary).toMatchObject({ ran: 6, fresh: 1, skipped: 0 });
});
