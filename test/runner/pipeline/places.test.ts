/** Where things are: positions, squiggles, pipeline files and project roots, and how long it takes to find out. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { PipeError } from '../../../src/runner/diagnostic.ts';
import { loadPipeline } from '../../../src/runner/pipeline/load.ts';
import { locate } from '../../../src/runner/pipeline/positions.ts';
import { findPipelineFile, findProjectRoot } from '../../../src/runner/pipeline/project.ts';
import { renderDiagnostic } from '../../../src/runner/pipeline/render-diagnostic.ts';
import { editDistance } from '../../../src/closest.ts';
import { catalogueOf } from './rig/catalogue.ts';
import { load, project } from './rig/files.ts';

const text = `# a comment
pipeline: p
params:
  base: &base { a: 1, b: [x, "two
    lines"] }
  merged: { <<: *base, c: 3 }
  alias: *base
  block:
    deep: |
      text
      more
  "quoted key": 1
`;

test.each<[string, number, number, number]>([
  ['/pipeline', 2, 11, 1],
  ['/params', 3, 1, 6],
  ['/params/base/a', 4, 20, 1],
  ['/params/base/b', 4, 26, 8],
  ['/params/base/b/1', 4, 30, 4],
  ['/params/merged/a', 4, 20, 1],
  ['/params/merged/c', 6, 27, 1],
  ['/params/alias', 7, 10, 5],
  ['/params/alias/a', 4, 20, 1],
  ['/params/block', 8, 3, 5],
  ['/params/block/deep', 9, 11, 1],
  ['/params/quoted key', 12, 17, 1],
  ['/params/none/at/all', 3, 1, 6],
  ['', 2, 1, 1],
])('%s is at %i:%i', (pointer, line, column, length) => {
  const folder = project({ 'p.yaml': text });
  expect(locate({ kind: 'file', file: join(folder, 'p.yaml'), pointer })).toEqual({ file: join(folder, 'p.yaml'), line, column, length });
});

test('a place follows the file as it is edited, and is null when the file is gone or was none', () => {
  const folder = project({ 'p.yaml': 'pipeline: p\n' });
  const file = join(folder, 'p.yaml');
  expect(locate({ kind: 'file', file, pointer: '/pipeline' })?.line).toBe(1);
  writeFileSync(file, '# now\n# later\npipeline: p\n');
  expect(locate({ kind: 'file', file, pointer: '/pipeline' })?.line).toBe(3);
  rmSync(file);
  expect(locate({ kind: 'file', file, pointer: '/pipeline' })).toBeNull();
  expect(locate({ kind: 'command-line', text: '--set a=1' })).toBeNull();
});

describe('renderDiagnostic', () => {
  test('line, squiggle, related place and hint', () => {
    const folder = project({ 'p.yaml': 'a: 1\n\tb: värde 値段 x\n' });
    const file = join(folder, 'p.yaml');
    const shown = renderDiagnostic({
      code: 'some-code', message: 'This is wrong', position: { file, line: 2, column: 14, length: 1 }, hint: 'write it so',
      related: [{ message: 'because of this', position: { file, line: 1, column: 1, length: 1 } }],
    }, { color: false, cwd: folder });
    expect(shown).toBe([
      // Two columns for each wide character, and the tab is kept.
      'p.yaml:2:14: error[some-code]: This is wrong', '2 | \tb: värde 値段 x', '  | \t              ~', 'p.yaml:1:1: because of this', '1 | a: 1', '  | ~', 'hint: write it so',
    ].join('\n'));
  });
  test('colour changes nothing but colour; without a place there is the message', () => {
    const folder = project({ 'p.yaml': 'a: 1\n' });
    const diagnostic = { code: 'c', message: 'm', position: { file: join(folder, 'p.yaml'), line: 1, column: 1, length: 1 }, hint: 'h', related: [] };
    const plain = renderDiagnostic(diagnostic, { color: false, cwd: folder });
    const coloured = renderDiagnostic(diagnostic, { color: true, cwd: folder });
    expect(coloured).not.toBe(plain);
    expect(stripVTControlCharacters(coloured)).toBe(plain);
    expect(renderDiagnostic({ ...diagnostic, position: null, hint: null }, { color: false, cwd: folder })).toBe('error[c]: m');
    expect(renderDiagnostic({ ...diagnostic, position: { ...diagnostic.position, file: '/gone.yaml' } }, { color: false, cwd: '/' })).toBe('gone.yaml:1:1: error[c]: m\nhint: h');
  });
});

describe('findProjectRoot', () => {
  test.each([['package.json', ''], ['.git/HEAD', ''], ['pipelines/x.yaml', '']])('a folder with %s', (marker) => {
    const folder = project({ [marker]: '', 'a/b/p.yaml': '' });
    expect(findProjectRoot(join(folder, 'a/b/p.yaml'))).toBe(folder);
  });
  test('the nearest counts', () => {
    const folder = project({ 'package.json': '', 'a/pipelines/p.yaml': '' });
    expect(findProjectRoot(join(folder, 'a/pipelines/p.yaml'))).toBe(join(folder, 'a'));
  });
});

describe('findPipelineFile', () => {
  const failure = (name: string | null, cwd: string): { message: string; hint: string | null } => {
    try {
      findPipelineFile(name, cwd);
    } catch (error) {
      if (error instanceof PipeError && error.exitCode === 2) return { message: error.message, hint: error.hint };
      throw error;
    }
    throw new Error('nothing was thrown');
  };
  test('as given, then in pipelines/', () => {
    const folder = project({ 'pipelines/a.yaml': '', 'pipelines/b.yaml': '', 'b.yaml': '' });
    expect(findPipelineFile('a.yaml', folder)).toBe(join(folder, 'pipelines/a.yaml'));
    expect(findPipelineFile('b.yaml', folder)).toBe(join(folder, 'b.yaml'));
    expect(findPipelineFile('pipelines/b.yaml', folder)).toBe(join(folder, 'pipelines/b.yaml'));
    expect(failure('c.yml', folder)).toMatchObject({ message: expect.stringContaining('c.yml') as string });
    expect(failure('bb.yaml', folder).hint).toBe('did you mean `b.yaml`?');
  });
  test('left out: pipe.yaml, or the only one', () => {
    const folder = project({ 'pipelines/a.yaml': '' });
    expect(findPipelineFile(null, folder)).toBe(join(folder, 'pipelines/a.yaml'));
    mkdirSync(join(folder, 'pipelines/parts'));
    expect(findPipelineFile(null, folder)).toBe(join(folder, 'pipelines/a.yaml'));
    writeFileSync(join(folder, 'pipelines/b.yaml'), '');
    expect(failure(null, folder)).toEqual({ message: 'pipelines/ holds 2 pipelines: a.yaml, b.yaml', hint: 'name one, for example `pipe run a.yaml`' });
    writeFileSync(join(folder, 'pipe.yaml'), '');
    expect(findPipelineFile(null, folder)).toBe(join(folder, 'pipe.yaml'));
  });
  test('nothing there', () => expect(failure(null, project({})).hint).toMatch(/pipe init/));
});

test('edit distance counts swaps of neighbours as one', () => {
  expect([editDistance('train', 'trian'), editDistance('', 'abc'), editDistance('kitten', 'sitting'), editDistance('a', 'a')]).toEqual([1, 3, 3, 0]);
});

test('a byte order mark and Windows line ends are no mistakes', async () => {
  const graph = await load('\uFEFFpipeline: p\r\nstages:\r\n  a:\r\n    run: touch x\r\n');
  expect(graph.cells).toHaveLength(1);
});

describe('speed', () => {
  const matrix = (seeds: number): string => `pipeline: big
stages:
  t: { uses: t, matrix: { axes: { size: { from: 1, to: 10 }, flops: { from: 1, to: 10 }, seed: { from: 1, to: ${seeds} } } }, with: { size: "\${matrix.size}", seed: "\${matrix.seed}" } }
  e: { uses: e, each: t, in: { m: t.m } }
  f: { uses: f, in: { r: "e[*].r" } }
`;
  const catalogue = catalogueOf({ t: { outputs: { m: 'file' } }, e: { inputs: { m: 'file' }, outputs: { r: 'metrics' } }, f: { inputs: { r: 'metrics[]' } } });
  // `with` has no schema here, so that the language is measured and not the stages' own checks.
  const open = { ...catalogue, info: async (file: string) => ({ ...(await catalogue.info(file)), params: {} }) };
  const seconds = async (text: string): Promise<number> => {
    const folder = project({ 'pipe.yaml': text });
    const start = process.cpuUsage();
    await loadPipeline({ file: join(folder, 'pipe.yaml'), profile: null, set: [], catalogue: open });
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };

  test('5,000 cells, an evaluation of each and a gather; and ten times that is about ten times the work', async () => {
    await seconds(matrix(10));
    const small = await seconds(matrix(50));
    const large = await seconds(matrix(500));
    expect(small).toBeLessThan(1); // 0.1 s on an idle core; a wide margin for busy machines
    expect(large / small).toBeLessThan(40); // a quadratic join would be 100
  });

  test('a chain of 1,000 stages', async () => {
    let chain = 'pipeline: chain\nstages:\n';
    for (let i = 0; i < 1000; i++) chain += `  s${i}:\n    run: cat \${in.a} > \${out.b}\n    in: { a: ${i > 0 ? `s${i - 1}.b` : './x'} }\n    out: { b: b }\n`;
    expect(await seconds(chain)).toBeLessThan(4);
  });
});
