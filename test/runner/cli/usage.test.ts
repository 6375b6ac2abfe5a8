/** What the command line says of itself, and of mistakes in what it was given. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';
import { lines, smallProject } from './rig/small.ts';

let project: TestProject;
beforeAll(() => {
  project = smallProject();
});
afterAll(() => project.remove());

describe('usage', () => {
  test('help lists every command of both halves, and each has its own', () => {
    const { stdout, code } = project.pipe(['--help']);
    expect(code).toBe(0);
    for (const name of ['run', 'status', 'why', 'graph', 'logs', 'history', 'show', 'table', 'compare', 'plot', 'report', 'sql', 'get', 'cache', 'validate', 'init', 'schema', 'doctor', 'accept', 'completions', 'backend', 'model']) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\S`, 'm'));
    }
    for (const name of ['run', 'table', 'backend']) {
      const own = project.pipe([name, '--help']);
      expect([own.code, own.stderr]).toEqual([0, '']);
      expect(own.stdout).toContain(`Usage: pipe ${name}`);
    }
    expect(project.pipe(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(project.pipe([])).toMatchObject({ code: 0, stdout });
  });

  test.each([
    [['rnu'], /unknown command 'rnu'\n\(Did you mean run\?\)/],
    [['run', '--kep-going'], /Did you mean --keep-going\?/],
    [['run', '-j', '0'], /whole number from 1/],
    [['run', '--max-time', 'soon'], /a time such as/],
    [['run', '--backend', 'wsam'], /did you mean `wasm`/],
    [['run', '--on', 'gpubox'], /there is no host gpubox/],
    [['run', 'a.yaml', 'b.yaml'], /one pipeline at a time/],
    [['run', 'smal.yaml'], /did you mean `small.yaml`/],
    [['run', '--profile', 'wdie'], /wide/],
    [['run', '--set', 'rtes=3'], /rates/],
    [['run', '--confirm'], /no terminal/],
    [['status', 'fti'], /did you mean `fit`/],
    [['why', 'fit'], /fit\[rate=0.1\], fit\[rate=0.5\]/],
    [['why', 'fit[rate=0.2]'], /has no value 0.2/],
    [['table', '--where', 'loss'], /is no condition/],
    [['graph', '--format', 'png'], /Allowed choices are text, mermaid, dot, json, svg/],
    [['sql', 'select * from nowhere'], /no such table: nowhere/],
    [['sql', 'delete from run'], /only reads/],
    [['sql', 'pragma user_version = 7'], /only reads/],
    [['sql', 'select 1; select 2'], /one statement|more than one/],
    [['get', 'draw'], /names no output/],
    [['get', 'draw.pionts'], /points/],
    [['show', '99'], /there is no run 99/],
    [['compare', 'fit[rate=0.1]'], /two things/],
    [['accept', 'draw'], /--reason/],
    [['model', 'zz9'], /zz9/],
    [['init', 'pythn'], /did you mean `python`/],
  ])('%j is a mistake that is explained', (args, message) => {
    const { code, stdout, stderr } = project.pipe(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  test.each([[['rnu']], [['run', '-j', '0']], [['status', 'fti']], [['sql', 'delete from run']], [['model', 'zz9']]])('%j --json is one object on stdout, and nothing else', args => {
    const { code, stdout, stderr } = project.pipe([...args, '--json']);
    expect([code, stderr]).toEqual([2, '']);
    expect(lines(stdout)).toEqual([expect.objectContaining({ event: 'error', exitCode: 2, message: expect.any(String) as string })]);
  });

  test('colours only where they are wanted', () => {
    expect(project.pipe(['status']).stdout).not.toContain('\u001b[');
    expect(project.pipe(['status'], { FORCE_COLOR: '1' }).stdout).toContain('\u001b[');
  });
});

describe('a pipeline with mistakes', () => {
  test.each([
    ['a computed import', 'export const load = async (name: string) => await import(name);', /lib\/words\.ts:1:51: it stands here\n1 \| .*\n {2}\| {51}~{12}\nhint: write import\('\.\/the-module\.ts'\)/],
    ['a syntax error', 'export const load = (;', /lib\/words\.ts:1:22: it stands here\n1 \| .*\n {2}\| {22}~\n/],
  ])('%s in what a stage imports is shown in its own file, with the stage that reaches it', (_what, code, expected) => {
    const bad = makeProject({
      'pipe.yaml': 'pipeline: bad\nstages:\n  count:\n    uses: count\n',
      'stages/count.ts': "import { load } from '../lib/words.ts';\nexport const stage = load;\n",
      'lib/words.ts': `${code}\n`,
    });
    try {
      const { code: exit, stderr } = bad.pipe(['status']);
      expect(exit).toBe(2);
      expect(stderr).toMatch(/^pipe\.yaml:4:11: error\[broken-stage\]/);
      expect(stderr).toMatch(expected);
    } finally {
      bad.remove();
    }
  });

  test('shows each with its place and a hint, in text and in JSON', () => {
    const bad = makeProject({ 'pipe.yaml': 'pipeline: bad\nstages:\n  a:\n    rnu: echo\n  b:\n    run: cat ${in.x}\n    in: { x: c.out }\n' });
    try {
      const { code, stdout, stderr } = bad.pipe(['validate']);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/pipe\.yaml:4:5: error\[[a-z-]+\]: .*rnu/);
      expect(stderr).toContain('4 |     rnu: echo\n  |     ~~~');
      const [error] = lines(bad.pipe(['run', '--json']).stdout);
      expect(error).toMatchObject({ event: 'error', code: 'invalid-pipeline', exitCode: 2 });
      expect(error?.['diagnostics']).toEqual(expect.arrayContaining([expect.objectContaining({ position: expect.objectContaining({ line: 4 }) as object })]));
    } finally {
      bad.remove();
    }
  });

  test('no pipeline at all, and several', () => {
    const empty = makeProject({ 'notes.txt': '' });
    expect(empty.pipe(['run'])).toMatchObject({ code: 2, stderr: expect.stringContaining('pipe init') as string });
    empty.write('pipelines/a.yaml', 'pipeline: a\n');
    empty.write('pipelines/b.yaml', 'pipeline: b\n');
    expect(empty.pipe(['status'])).toMatchObject({ code: 2, stderr: expect.stringContaining('a.yaml, b.yaml') as string });
    empty.remove();
  });
});

test.each(['bash', 'zsh', 'fish'])('completions for %s name commands and options', shell => {
  const { stdout, code } = project.pipe(['completions', shell]);
  expect(code).toBe(0);
  expect(stdout).toContain('keep-going');
  expect(stdout).toContain('backend');
});
