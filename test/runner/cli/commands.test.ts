/** The program as a user meets it: real processes, a real project, a real database. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';
import { json, lines, smallProject } from './rig/small.ts';

let project: TestProject;
beforeAll(() => {
  project = smallProject();
});
afterAll(() => project.remove());

test('the line of a stage says what keeps its results from being reused', () => {
  const stage = (more: string): string => `\n    run: "true"\n    matrix: { axes: { a: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] } }\n${more}`;
  const kept = makeProject({ 'pipe.yaml': `pipeline: kept\nstages:\n  many:${stage('    always: true\n')}  here:${stage('    cache: false\n')}  one:\n    run: echo 1\n    cache: false\n` });
  try {
    expect(kept.pipe(['run', 'here', 'one']).code).toBe(0);
    const { stdout } = kept.pipe(['status']);
    expect(stdout).toMatch(/many ×12 .* not cached: `always: true`: it is never reused$/m);
    expect(stdout).toMatch(/here ×12 +fresh +not shared: `cache: false`$/m);
    expect(stdout).toMatch(/one +fresh +[0-9a-f]{6} · not shared: `cache: false`$/m);
  } finally {
    kept.remove();
  }
});

describe('from nothing to results', () => {
  test('before a run: everything is to be run, and --check says so', () => {
    const { stdout, code } = project.pipe(['status']);
    expect(code).toBe(0);
    expect(stdout).toContain('small · 4 cells: 0 fresh, 1 to run, 3 that depend on it');
    expect(project.pipe(['status', '--check']).code).toBe(1);
    expect(project.pipe(['run', '--dry']).stdout).toContain('dry run: nothing is started');
    expect(project.pipe(['history']).stdout).toBe('no runs yet\n');
    expect(project.pipe(['logs', 'draw'])).toMatchObject({ code: 1, stderr: expect.stringContaining('has not been run yet') as string });
  });

  test('--json prints one well-formed event a line', () => {
    const { stdout, stderr, code } = project.pipe(['run', '--json', '-j', '1']);
    expect([code, stderr]).toEqual([0, '']);
    const events = lines(stdout);
    expect(events[0]).toMatchObject({ event: 'run.planned', cells: 4, toRun: 1, pending: 3 });
    expect(events.at(-1)).toMatchObject({ event: 'run.finished', ran: 4, fresh: 0, failed: 0, exitCode: 0, report: project.path('cache', 'report', 'small.html') });
    expect(events.filter(event => event.event === 'cell.started').map(event => event['cell'])).toEqual(['draw', 'fit[rate=0.1]', 'fit[rate=0.5]', 'law']);
    expect(events).toContainEqual(expect.objectContaining({ event: 'metric', cell: 'fit[rate=0.5]', name: 'loss', value: 0.5, step: 2 }));
    expect(events).toContainEqual(expect.objectContaining({ event: 'note', cell: 'law', text: 'the law holds' }));
  });

  test('a second run does nothing and says so', () => {
    const { stdout, stderr, code } = project.pipe(['run']);
    expect(code).toBe(0);
    expect(stderr).toBe('✓ nothing to run: 4 cells fresh\n');
    expect(stdout).toBe('report: cache/report/small.html\n');
    expect(project.pipe(['status', '--check']).code).toBe(0);
    expect(lines(project.pipe(['run', '--json']).stdout).at(-1)).toMatchObject({ event: 'run.finished', ran: 0, fresh: 4, exitCode: 0 });
  });

  test('tables in every format', () => {
    expect(project.pipe(['table']).stdout).toBe('rate  loss  state\n 0.1   0.1  fresh\n 0.5   0.5  fresh\n');
    expect(project.pipe(['table', '--format', 'csv', '--sort', '-loss']).stdout).toBe('rate,loss,state\n0.5,0.5,fresh\n0.1,0.1,fresh\n');
    expect(json(project.pipe(['table', '--where', 'rate>0.2', '--json']).stdout)).toEqual([{ rate: 0.5, loss: 0.5, state: 'fresh' }]);
    expect(project.pipe(['table', 'fit[rate=0.1]', '--columns', 'loss,cell', '--format', 'md']).stdout).toContain('| 0.1 | fit[rate=0.1] | fresh |');
    expect(project.pipe(['table', '--where', 'lss<1'])).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean `loss`') as string });
  });

  test('SQL reads the documented views', () => {
    expect(json(project.pipe(['sql', "select cell, json_extract(metrics, '$.loss') as loss from results where stage = 'fit' order by cell", '--json']).stdout))
      .toEqual([{ cell: 'fit[rate=0.1]', loss: 0.1 }, { cell: 'fit[rate=0.5]', loss: 0.5 }]);
    expect(project.pipe(['sql', '--schema']).stdout).toContain('CREATE VIEW results AS -- one row a cell');
  });

  test('logs, history, show, get, graph, plot and compare', () => {
    expect(project.pipe(['logs', 'fit[rate=0.5]']).stdout).toBe('fitting at 0.5\n');
    expect(json(project.pipe(['history', '--json']).stdout)).toEqual([2, 1, 0].map(i => expect.objectContaining({ id: i + 1, exitCode: 0, summary: expect.objectContaining({ ran: i === 0 ? 4 : 0 }) as object })));
    expect(project.pipe(['show', '1']).stdout).toMatch(/fit\[rate=0\.5\] +ran/);
    expect(json(project.pipe(['show', 'fit[rate=0.5]', '--json']).stdout)).toMatchObject({ status: 'ran', metrics: { loss: 0.5 }, outputs: { model: { name: 'model.txt' } } });
    expect(project.pipe(['get', 'fit[rate=0.5].model', 'copy.txt'])).toMatchObject({ code: 0, stdout: 'copy.txt (6 B)\n' });
    expect(project.read('copy.txt')).toBe('1 2 3\n');
    expect(project.pipe(['get', 'draw.points', 'copy.txt'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--overwrite') as string });
    expect(project.pipe(['graph']).stdout).toBe('draw    1 fresh\nfit ×2  2 fresh  ← draw.points\nlaw     1 fresh  ← fit[*].model\n');
    expect(project.pipe(['graph', '--format', 'svg']).stdout).toMatch(/^<svg xmlns/);
    expect(json(project.pipe(['plot', '--json']).stdout)).toMatchObject({ y: 'loss', series: [{ name: 'rate=0.1', points: [{ x: 1, y: 2 }, { x: 2, y: 0.1 }] }, { name: 'rate=0.5' }] });
    expect(project.pipe(['plot', '--x', 'rate']).stdout).toContain('rate');
    expect(json(project.pipe(['compare', 'fit[rate=0.1]', 'fit[rate=0.5]', '--json']).stdout)).toMatchObject({
      lines: expect.arrayContaining([expect.objectContaining({ what: 'loss', a: 0.1, b: 0.5, difference: 0.4 })]) as object,
    });
    expect(json(project.pipe(['compare', 'wide', '1', '--json']).stdout)).toMatchObject({ a: 'profile wide', b: 'run 1' });
  });

  test('the page holds the numbers and where they come from', () => {
    const html = project.read('cache/report/small.html');
    expect(html).toContain('<h1>A small experiment</h1>');
    const attempt = /<td class="metric number" title="0\.5">0\.5<\/td><td class="source"><a href="#(attempt-\d+)">/.exec(html)?.[1];
    expect(html).toContain(`<div id="${attempt ?? 'no link'}">`);
    expect(html).not.toMatch(/<script|src="http|href="http/);
    expect(project.pipe(['report', '-o', 'page.html']).stdout).toBe('page.html\n');
    expect(project.read('page.html')).toContain('A small experiment');
  });
});

describe('after a change', () => {
  test('why names the file; accept lets the present results stand, visibly', () => {
    project.write('draw.sh', 'echo 1 2 3 # the same\n');
    expect(project.pipe(['why', 'draw']).stdout).toMatch(/draw run\n└ input script: .*draw\.sh/);
    expect(project.pipe(['why', 'law']).stdout).toContain('comes from fit[rate=0.1]');
    expect(project.pipe(['table']).stdout).toContain('stale');
    expect(project.pipe(['accept', 'draw', '--reason', 'only a comment']).stdout).toContain('accepted 1 cell: only a comment');
    expect(project.pipe(['status']).stdout).toMatch(/draw +fresh .*accepted: only a comment/);
    expect(project.pipe(['why', 'draw']).stdout).toMatch(/draw fresh\naccepted, made by attempt \d+: only a comment\n└ input script: .*draw\.sh/);
    expect(json(project.pipe(['why', 'draw', '--json']).stdout)).toMatchObject({ state: 'fresh', accepted: { reason: 'only a comment' } });
    expect(project.pipe(['table', 'draw', 'fit']).stdout).toMatch(/accepted +only a comment/);
    expect(project.pipe(['table', 'fit']).stdout).not.toContain('reason');
    project.pipe(['report', '-o', 'page.html']);
    expect(project.read('page.html')).toMatch(/accepted for it: <b>draw<\/b> only a comment <a href="#attempt-\d+">/);
    expect(project.pipe(['run'])).toMatchObject({ code: 0, stderr: '✓ nothing to run: 4 cells fresh\n' });
  });

  test('a failure shows its log and how to run it again; the last good results stay', () => {
    const { code, stderr, stdout } = project.pipe(['run', '--set', 'fail=yes', '-j', '1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/✗ fit\[rate=0\.\d\] +failed/);
    expect(stderr).toMatch(/ {2}│ cannot fit\n {2}log +cache\/logs\/\S+\n {2}folder +cache\/work\/\S+\n {2}again +sh cache\/work\/\S+\/run\.sh\n/);
    expect(stderr).toMatch(/✗ 1 fresh, 1 failed, 2 skipped/);
    expect(stdout).toContain('report:');
    expect(project.pipe(['run'])).toMatchObject({ code: 0, stderr: '✓ nothing to run: 4 cells fresh\n' });
  });

  test('--force runs again, --force=TARGET only that', () => {
    const forced = lines(project.pipe(['run', '--force=law', '--json']).stdout).at(-1);
    expect(forced).toMatchObject({ ran: 1, fresh: 3 });
    expect(lines(project.pipe(['run', '--force', 'fit', '--json', '-j', '1']).stdout).filter(event => event.event === 'cell.started').map(event => event['cell']).sort()).toEqual(['fit[rate=0.1]', 'fit[rate=0.5]']);
  });
});

test('a stage that goes on from a checkpoint says so on its line, in show, in why and in the events', () => {
  const resuming = makeProject({
    'pipe.yaml': `pipeline: counting
stages:
  count:
    run: |
      step=0
      [ -e "$PIPE_CHECKPOINT/step" ] && step=$(cat "$PIPE_CHECKPOINT/step") && echo '{"resumed":'$step'}' >> "$PIPE_EVENTS"
      echo 12 > "$PIPE_CHECKPOINT/step"
      [ $step = 12 ] && echo done > \${out.o}
    out: { o: o.txt }
    checkpoint: true
`,
  });
  expect(resuming.pipe(['run']).code).toBe(1);
  const { code, stderr } = resuming.pipe(['run']);
  expect(code).toBe(0);
  expect(stderr).toMatch(/↪ count resumed from step 12\n/);
  expect(stderr).toMatch(/✓ count +ran +\S+ \S+ +resumed from step 12\n/);
  expect(resuming.pipe(['show', 'count']).stdout).toMatch(/^resumed +from step 12$/m);
  expect(resuming.pipe(['show', '2']).stdout).toMatch(/^2 +count +ran .*resumed from step 12$/m);
  expect(json(resuming.pipe(['show', 'count', '--json']).stdout)).toMatchObject({ resumedFromStep: 12 });
  expect(resuming.pipe(['why', 'count']).stdout).toMatch(/^made by attempt 2, resumed from step 12$/m);
  expect(json(resuming.pipe(['why', 'count', '--json']).stdout)).toMatchObject({ made: { attempt: 2, resumedFromStep: 12 } });
  resuming.remove();
});

test('what this machine can never give is refused before anything runs, also by --dry', () => {
  const greedy = makeProject({ 'pipe.yaml': 'pipeline: greedy\nstages:\n  s: { run: "true", resources: { memory: 900000G } }\n' });
  for (const args of [['run'], ['run', '--dry']]) {
    expect(greedy.pipe(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/s asks for 900000G of memory, and this machine has/) as string });
  }
  expect(greedy.pipe(['status']).code).toBe(0);
  greedy.remove();
});

describe('compare', () => {
  test('of two runs sees cells that were fresh, and what those that ran anew were made with', () => {
    const own = smallProject();
    const rows = (query: string): Record<string, unknown>[] => json(own.pipe(['sql', query, '--json']).stdout) as Record<string, unknown>[];
    try {
      own.pipe(['run']);
      own.pipe(['run']);
      // A run in which nothing changed writes its own row, and points to what is there already.
      expect(rows('SELECT count(*) AS n FROM result_set')).toEqual([{ n: 1 }]);
      expect(own.pipe(['compare', '1', '2'])).toMatchObject({ code: 0 });
      expect(own.pipe(['compare', '1', '2']).stdout).toMatch(/fit\[rate=0\.5\] loss +0\.5 +0\.5 *\n/);
      own.pipe(['run', '--set', 'rates=[0.5, 0.9]']);
      own.write('draw.sh', 'echo 1 2 4\n');
      own.pipe(['run']);
      expect(rows('SELECT run, cell, ran FROM run_cells WHERE run IN (3, 4) ORDER BY run, cell')).toEqual([
        { run: 3, cell: 'draw', ran: 0 }, { run: 3, cell: 'fit[rate=0.5]', ran: 0 }, { run: 3, cell: 'fit[rate=0.9]', ran: 1 }, { run: 3, cell: 'law', ran: 1 },
        { run: 4, cell: 'draw', ran: 1 }, { run: 4, cell: 'fit[rate=0.1]', ran: 1 }, { run: 4, cell: 'fit[rate=0.5]', ran: 1 }, { run: 4, cell: 'law', ran: 1 },
      ]);
      const fresh = own.pipe(['compare', '2', '3']).stdout;
      expect(fresh).toMatch(/fit\[rate=0\.5\] loss +0\.5 +0\.5 *\n/);
      expect(fresh).toMatch(/cell fit\[rate=0\.1\] +attempt 2/);
      expect(fresh).not.toContain('cell draw');
      const anew = json(own.pipe(['compare', '2', '4', '--json']).stdout) as { lines: { what: string }[]; unseen: string[] };
      expect(anew.unseen).toEqual([]);
      expect(anew.lines.map(({ what }) => what)).toEqual(expect.arrayContaining(['cell draw', 'draw in.script digest', 'fit[rate=0.1] loss']));
      expect(own.pipe(['sql', 'UPDATE run SET result_set = NULL']).code).not.toBe(0);
    } finally {
      own.remove();
    }
  });
});

test('the cache: size, pins, gc that only shows, and damage', () => {
  expect(project.pipe(['cache', 'size']).stdout).toMatch(/^database +\d/m);
  expect(project.pipe(['cache', 'verify'])).toMatchObject({ code: 0, stdout: expect.stringContaining('whole') as string });
  expect(project.pipe(['cache', 'pin', 'law', '--reason', 'published']).stdout).toBe('pinned 1 output\n');
  expect(project.pipe(['cache', 'pin']).stdout).toContain('published');
  const { keep, remove, freed } = json(project.pipe(['cache', 'gc', '--max-size', '0', '--json']).stdout) as { keep: { cell: string }[]; remove: { cell: string }[]; freed: null };
  expect([keep.map(result => result.cell), freed]).toEqual([expect.arrayContaining(['law']), null]);
  expect(remove.map(result => result.cell)).toContain('fit[rate=0.1]');
  expect(project.pipe(['run'])).toMatchObject({ code: 0, stderr: '✓ nothing to run: 4 cells fresh\n' });
  expect(project.pipe(['cache', 'gc', '--max-size', '0', '--yes']).stdout).toContain('freed');
  expect(project.pipe(['status', '--check']).code).toBe(1);
  expect(project.pipe(['cache', 'gc', '--max-size', 'much'])).toMatchObject({ code: 2, stderr: expect.stringContaining('a size such as') as string });
});

describe('stopping', () => {
  test.each([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const)('%s stops the stages and ends with %d', async (signal, code) => {
    const slow = makeProject({ 'pipe.yaml': 'pipeline: slow\nstages:\n  wait:\n    run: echo begun; sleep 60; echo > ${out.x}\n    out: { x: x.txt }\n' });
    try {
      const running = slow.start(['run', '--json']);
      await new Promise<void>(resolve => {
        running.stdout?.on('data', (text: string) => {
          if (text.includes('cell.started')) resolve();
        });
      });
      running.kill(signal);
      const { code: ended, stdout } = await running.finished;
      expect(ended).toBe(code);
      expect(lines(stdout).at(-1)).toMatchObject({ event: 'run.finished', interrupted: 1, exitCode: code });
      expect(slow.pipe(['show', 'wait']).stdout).toContain('interrupted');
    } finally {
      slow.remove();
    }
  });
});
