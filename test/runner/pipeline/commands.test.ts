import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { shellQuote } from '../../../src/runner/pipeline/shell-text.ts';
import type { CellAction, CellGraph, CommandPart } from '../../../src/runner/pipeline/model.ts';
import { load } from './rig/files.ts';

function shell(action: CellAction): CellAction & { kind: 'shell' } {
  if (action.kind !== 'shell') throw new Error('no command');
  return action;
}

async function command(run: string, params = '{ name: "it\'s a $dollar", n: 1e21, list: [a b, c], flag: true }'): Promise<readonly CommandPart[]> {
  const graph = await load(`pipeline: p\nparams: ${params}\nstages:\n  a:\n    run: ${JSON.stringify(run)}\n    in: { x: ./x, files: "./*.txt" }\n    out: { y: y.txt }\n`);
  return shell(graph.cells[0]!.action).command as readonly CommandPart[];
}

/** What the executor does: paths are put in quoted. */
const complete = (parts: readonly CommandPart[]): string => parts.map(part => (typeof part === 'string' ? part : shellQuote('in' in part ? `path of ${part.in}` : `path of ${part.out}`))).join('');
const run = (text: string): string => execFileSync('sh', ['-e', '-c', text], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: '/home/me' } });

describe('shell text', () => {
  test('inputs and outputs stay parts, everything else is filled in', async () => {
    expect(await command('wc -l ${in.x} > ${out.y}; echo ${stage.name} ${params.n}')).toEqual(['wc -l ', { in: 'x' }, ' > ', { out: 'y' }, '; echo a 1e+21']);
  });
  test.each([
    ['echo ${params.name}', "it's a $dollar\n"],
    ['echo "${params.name}" end', "it's a $dollar end\n"],
    ["echo 'so: ${params.name}' end", "so: it's a $dollar end\n"],
    ['printf "%s|" ${params.list} ${params.flag}', 'a b|c|true|'],
    ['printf "%s|" ${in.x} "<${in.x}>" \'<${out.y}>\'', 'path of x|<path of x>|<path of y>|'],
    ['echo "$(printf "%s|" ${in.x} "${in.x}")"', 'path of x|path of x|\n'],
    ['echo `echo ${params.name}`', "it's a $dollar\n"],
    ["# it's a comment\necho ${in.x}", 'path of x\n'],
    ['echo \\"${params.name}', "\"it's a $dollar\n"],
    ['echo $HOME $${HOME} $${NONE:-none}', '/home/me /home/me none\n'],
    ['(echo "a (${in.x}) b")', 'a (path of x) b\n'],
  ])('%s', async (text, output) => expect(run(complete(await command(text)))).toBe(output));
});

test('an argv list is not quoted, and knows numbers', async () => {
  const graph = await load(`pipeline: p
params: { name: "it's" }
stages:
  a: { run: [python3, "\${in.s}", "--name=\${params.name}", 3, "--out=\${out.y}"], in: { s: ./s.py }, out: { y: y }, interpreter: python3 }
`);
  expect(shell(graph.cells[0]!.action)).toEqual({
    kind: 'shell', argv: true, interpreter: 'python3',
    command: [['python3'], [{ in: 's' }], ["--name=it's"], ['3'], ['--out=', { out: 'y' }]],
  });
});

test('a command with matrix values differs from cell to cell, one without is shared', async () => {
  const graph = await load(`pipeline: p
stages:
  a: { run: "echo \${matrix.n.v}", matrix: { axes: { n: [{ v: x y }, { v: z }] } } }
  b: { run: echo, matrix: { axes: { n: [1, 2] } } }
`);
  expect(graph.cells.map(cell => shell(cell.action).command)).toEqual([["echo 'x y'"], ['echo z'], ['echo'], ['echo']]);
  expect(graph.cells[2]!.action).toBe(graph.cells[3]!.action);
});

test('outputs: kinds, temp, paths with the matrix in them', async () => {
  const graph: CellGraph = await load(`pipeline: p
stages:
  a:
    run: touch x
    matrix: { axes: { n: [5] } }
    out: { short: a.txt, long: { path: "m-\${matrix.n}.jsonl", kind: metrics, temp: true }, folder: sub/dir/ }
  b: { uses: preprocess, in: { pairs: ./p }, temp: [images] }
  c: { run: touch x, out: { x: x, y: y }, temp: true }
`);
  expect(graph.cells[0]!.outputs).toEqual({ short: { kind: 'any', path: 'a.txt', temp: false }, long: { kind: 'metrics', path: 'm-5.jsonl', temp: true }, folder: { kind: 'any', path: 'sub/dir', temp: false } });
  expect(graph.cells[1]!.outputs).toEqual({ images: { kind: 'folder', path: 'images', temp: true }, captions: { kind: 'file', path: 'captions', temp: false } });
  expect(Object.values(graph.cells[2]!.outputs).every(output => output.temp)).toBe(true);
});

test('settings are read, defaulted and shared', async () => {
  const graph = await load(`pipeline: p
params: { cores: 3 }
stages:
  a:
    run: touch x
    matrix: { axes: { n: [1, 2] } }
    with: { log_every: 5, n: "\${matrix.n}" }
    resources: { cpu: "\${params.cores}", memory: 1.5G, gpu: prefer, gpu_memory: 20G, licences: 2 }
    on: big
    checkpoint: true
    timeout: 1h30m
    retries: { times: 2, on: [oom, 75], backoff: 30s, grow: { memory: 2 } }
    env: { pass: [LANG], set: { OMP_NUM_THREADS: 2, NAME: "n\${params.cores}" }, secret: [TOKEN] }
    always: true
    cache: false
    ignore: [with.log_every, env.LANG]
    platform: [backend, threads]
    on_change: finish
  b: { run: touch x }
  c: { run: touch y, resources: { cpu: 1 } }
  d: { run: touch x, matrix: { axes: { n: [1, 2] } }, resources: { cpu: "\${matrix.n}" }, retries: 3, timeout: 90 }
`);
  const settings = graph.cells.map(cell => cell.settings);
  expect(settings[0]).toEqual({
    resources: { cpu: 3, memory: 1.5 * 2 ** 30, gpu: 'prefer', gpuMemory: 20 * 2 ** 30, named: { licences: 2 } },
    on: 'big', checkpoint: true, timeoutMs: 5_400_000, retries: { times: 2, on: ['oom', 75], backoffMs: 30_000, grow: { memory: 2 } },
    env: { pass: ['LANG'], set: { OMP_NUM_THREADS: '2', NAME: 'n3' }, secret: ['TOKEN'] },
    always: true, shared: false, ignore: ['with.log_every', 'env.LANG'], platform: ['backend', 'threads'], onChange: 'finish',
  });
  expect(settings[1]).toBe(settings[0]);
  expect(settings[2]).toEqual({
    resources: { cpu: 1, memory: null, gpu: 0, gpuMemory: null, named: {} }, on: 'local', checkpoint: false, timeoutMs: null,
    retries: { times: 0, on: ['exit', 'oom', 'preempted', 'timeout'], backoffMs: 0, grow: {} }, env: { pass: [], set: {}, secret: [] },
    always: false, shared: true, ignore: [], platform: [], onChange: 'stop',
  });
  expect([settings[4]!.resources.cpu, settings[5]!.resources.cpu, settings[4]!.retries.times, settings[4]!.timeoutMs]).toEqual([1, 2, 3, 90_000]);
});

test('publish and report are carried', async () => {
  const graph = await load(`pipeline: p
title: All of it
stages:
  t: { uses: train, in: { images: ./x }, matrix: { axes: { seed: [1, 2] } }, with: { seed: "\${matrix.seed}" } }
  f: { uses: fit, in: { runs: "t[*].metrics" }, publish: { law: ./results/law.json }, summary: The law }
  off: { run: touch x, when: false, out: { x: x } }
report:
  - { text: Hello }
  - { table: t, rows: seed, columns: [loss], title: Runs }
  - { figure: f.plot }
  - { table: off }
`);
  expect(graph.title).toBe('All of it');
  expect(graph.stages[1]).toMatchObject({ publish: { law: 'results/law.json' }, summary: 'The law' });
  expect(graph.stages[0]!.summary).toContain('the stage');
  expect(graph.report).toEqual([
    { kind: 'text', text: 'Hello' }, { kind: 'table', stage: 't', rows: 'seed', columns: ['loss'], title: 'Runs' }, { kind: 'figure', stage: 'f', output: 'plot', title: null },
  ]);
});
