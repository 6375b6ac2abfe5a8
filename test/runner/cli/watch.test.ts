import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CellGraph } from '../../../src/runner/pipeline/model.ts';
import { fixedStart, isWatched, mostEntries, watchedPaths, watchRoots } from '../../../src/runner/cli/watched-paths.ts';
import { Gate } from '../../rig/gate.ts';
import { makeProject } from '../../rig/pipe.ts';

/** Resolves when the text so far satisfies the condition. */
function until(stream: NodeJS.ReadableStream | null, condition: (text: string) => boolean): Promise<void> {
  let text = '';
  return new Promise(resolve => {
    stream?.on('data', (part: string) => {
      text += part;
      if (condition(text)) resolve();
    });
  });
}
const count = (text: string, what: string): number => text.split(what).length - 1;

test('--watch runs what a change makes stale, shows mistakes and goes on, and ends with the signal', async () => {
  const good = 'pipeline: p\nstages:\n  copy: { run: "cat ${in.x} > ${out.y}", in: { x: ./x.txt }, out: { y: y.txt } }\n  other: { run: "echo > ${out.z}", out: { z: z.txt } }\n';
  const project = makeProject({ 'pipe.yaml': good, 'x.txt': 'one\n' });
  try {
    const running = project.start(['run', '--watch', '--json']);
    const seen = (what: string, times: number): Promise<void> => until(running.stdout, text => count(text, what) >= times);
    const [first, error, second] = [seen('"run.finished"', 1), seen('"error"', 1), seen('"run.finished"', 2)];
    await first;
    project.write('pipe.yaml', 'pipeline: p\nstages: [');
    await error;
    project.write('pipe.yaml', good);
    project.write('x.txt', 'two\n');
    await second;
    running.kill('SIGINT');
    const { code, stdout } = await running.finished;
    expect(code).toBe(130);
    const finished = stdout.split('\n').filter(line => line.includes('"run.finished"')).map(line => JSON.parse(line) as { ran: number });
    expect(finished.map(event => event.ran)).toEqual([2, 1]);
    expect(project.pipe(['get', 'copy.y', 'got.txt']).code).toBe(0);
    expect(project.read('got.txt')).toBe('two\n');
  } finally {
    project.remove();
  }
});

/** Statuses of all attempts at a cell, oldest first. */
function attempts(project: ReturnType<typeof makeProject>, cell: string): string[] {
  const rows = JSON.parse(project.pipe(['sql', `SELECT status FROM attempt WHERE cell = '${cell}' ORDER BY id`, '--json']).stdout) as { status: string }[];
  return rows.map(({ status }) => status);
}

test('a running cell whose input changed is stopped and started anew, or finished, as on_change says', async () => {
  const project = makeProject({ 'a.txt': 'one\n', 'b.txt': 'one\n' });
  const [stopped, finished] = [new Gate(project.folder, 'stopped'), new Gate(project.folder, 'finished')];
  project.write('pipe.yaml', `pipeline: p
stages:
  stops: { run: "cat \${in.x} > \${out.y}; grep -q two \${in.x} || { ${stopped.wait}; }", in: { x: ./a.txt }, out: { y: y.txt } }
  goeson: { run: "cat \${in.x} > \${out.y}; grep -q two \${in.x} || { ${finished.wait}; }", in: { x: ./b.txt }, out: { y: y.txt }, on_change: finish }
`);
  try {
    const running = project.start(['run', '--watch', '--json', '-j', '2']);
    const anew = until(running.stdout, text => /stops: stopped, because what it depends on changed; it runs anew/.test(text));
    const ended = until(running.stdout, text => text.includes('"run.finished"'));
    await stopped.arrived();
    const open = await finished.reached();
    // Both at once, so that the one has been looked at when the other is stopped; it is at its gate and never asked to end.
    project.write('b.txt', 'three\n');
    project.write('a.txt', 'two\n');
    await anew;
    project.write('b.txt', 'two\n');
    await open();
    await ended;
    running.kill('SIGINT');
    expect((await running.finished).code).toBe(130);
    expect(attempts(project, 'stops')).toEqual(['interrupted', 'ran']);
    // It ran to its end; what it had read was not there any more.
    expect(attempts(project, 'goeson')).toEqual(['tainted', 'ran']);
    project.pipe(['get', 'stops.y', 'got.txt']);
    expect(project.read('got.txt')).toBe('two\n');
  } finally {
    project.remove();
  }
});

test('a failed cell is not tried again until its key changes; others are', async () => {
  const project = makeProject({
    'pipe.yaml': `pipeline: p
stages:
  bad: { run: "cat \${in.x} > \${out.y}; grep -q good \${in.x}", in: { x: ./x.txt }, out: { y: y.txt } }
  after: { run: "cp \${in.y} \${out.z}", in: { y: bad.y }, out: { z: z.txt } }
  other: { run: "cp \${in.x} \${out.y}", in: { x: ./o.txt }, out: { y: y.txt } }
  each: { run: "echo > \${out.y}", out: { y: y.txt }, always: true }
`,
    'x.txt': 'wrong\n', 'o.txt': 'one\n',
  });
  try {
    const running = project.start(['run', '--watch', '--json', '--keep-going']);
    const seen = (times: number): Promise<void> => until(running.stdout, text => count(text, '"run.finished"') >= times);
    const [first, second, third] = [seen(1), seen(2), seen(3)];
    await first;
    project.write('o.txt', 'two\n');
    await second;
    project.write('x.txt', 'good\n');
    await third;
    running.kill('SIGTERM');
    const { code, stdout } = await running.finished;
    expect(code).toBe(143);
    const ends = stdout.split('\n').filter(line => line.includes('"run.finished"')).map(line => JSON.parse(line) as { ran: number; failed: number; skipped: number });
    expect(ends.map(({ ran, failed, skipped }) => [ran, failed, skipped])).toEqual([[2, 1, 1], [1, 0, 2], [2, 0, 0]]);
    expect(attempts(project, 'bad')).toEqual(['failed', 'ran']);
    expect(attempts(project, 'each')).toEqual(['ran']);
  } finally {
    project.remove();
  }
});

test('a change of the pipeline ends the round early, and the next one runs what it says now', async () => {
  const project = makeProject({});
  const gate = new Gate(project.folder, 'gate');
  const text = (word: string, rest: string): string => `pipeline: p
stages:
  first: { run: "echo ${word} > \${out.y}; ${rest}", out: { y: y.txt } }
  second: { run: "cp \${in.y} \${out.z}", in: { y: first.y }, out: { z: z.txt } }
`;
  project.write('pipe.yaml', text('old', gate.wait));
  try {
    const running = project.start(['run', '--watch', '--json']);
    const ended = until(running.stdout, output => count(output, '"run.finished"') >= 2);
    await gate.arrived();
    project.write('pipe.yaml', text('new', 'true'));
    await ended;
    running.kill('SIGINT');
    await running.finished;
    expect(attempts(project, 'first')).toEqual(['interrupted', 'ran']);
    expect(attempts(project, 'second')).toEqual(['ran']);
    project.pipe(['get', 'second.z', 'got.txt']);
    expect(project.read('got.txt')).toBe('new\n');
  } finally {
    project.remove();
  }
});

test('data trees are not watched, small inputs and missing ones are', () => {
  const project = makeProject({ 'small/a.txt': 'a', 'cfg/x.json': '{}' });
  try {
    mkdirSync(project.path('data'));
    for (let i = 0; i <= mostEntries; i++) writeFileSync(project.path('data', String(i)), '');
    const inputs = Object.fromEntries([['a', 'small', false], ['b', 'data', false], ['c', 'cfg/*.json', true], ['d', 'data/*', true], ['e', 'not/there.txt', false]]
      .map(([name, path, glob]) => [name, { kind: 'path', path, glob }]));
    const graph = { root: project.folder, sources: [project.path('pipe.yaml'), project.path('stages/train.ts')], cells: [{ inputs }] } as unknown as CellGraph;
    const paths = watchedPaths(graph, () => false);
    expect(paths.tooLarge).toEqual(['data', 'data/*']);
    const watched = (path: string): boolean => isWatched(paths, join(project.folder, path));
    for (const path of ['pipe.yaml', 'stages/train.ts', 'small', 'small/new/b.txt', 'cfg/y.json', 'not/there.txt']) expect([path, watched(path)]).toEqual([path, true]);
    for (const path of ['data', 'data/1', 'smaller', 'README.md', 'stages/other.ts', 'not/else.txt']) expect([path, watched(path)]).toEqual([path, false]);
    expect([...watchRoots(paths)].sort()).toEqual([project.folder, project.path('cfg'), project.path('small')].sort());
    expect(['a/b/*.txt', '*.txt', '/x/*', 'a/**/b', 'a/b.txt'].map(fixedStart)).toEqual(['a/b', '.', '/x', 'a', 'a']);
  } finally {
    project.remove();
  }
});
