/** Editors: the schema as the stock YAML language server reads it, found by the first line of a pipeline file. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLanguageServer } from '../../rig/language-server.ts';
import type { LanguageServer } from '../../rig/language-server.ts';

const repository = new URL('../../../', import.meta.url);
const folder = new URL('pipelines/', repository);
const modeline = '# yaml-language-server: $schema=../docs/pipeline.schema.json\n';
const stage = `${modeline}pipeline: demo
stages:
  train:
    run: echo \${matrix.rate} > \${out.model}
    out: { model: model.bin }
    matrix: { axes: { rate: { log: [1e-4, 1e-2], count: 3 } } }
`;

let server: LanguageServer;
beforeAll(async () => void (server = await startLanguageServer(repository.href)));
afterAll(() => server.close());

let opened = 0;
/** A document of its own each time, as if it lay in pipelines/. */
async function open(text: string): Promise<{ readonly uri: string; readonly found: readonly string[] }> {
  const uri = new URL(`editor-${opened++}.yaml`, folder).href;
  const diagnostics = await server.open(uri, text);
  return { uri, found: diagnostics.map(({ range, message }) => `${range.start.line + 1}:${range.start.character + 1} ${message}`) };
}

const shipped = readdirSync(folder).filter(name => name.endsWith('.yaml') && name !== 'pipe.hosts.yaml');
test.each(shipped)('pipelines/%s names the schema and is accepted', async name => {
  const text = readFileSync(new URL(name, folder), 'utf8');
  expect(text.split('\n')[0]).toBe(modeline.trim());
  expect((await open(text)).found).toEqual([]);
});

test('what the language allows is accepted: every way to write an axis, templates in place of values, all settings', async () => {
  const { found } = await open(`${stage}    resources: { cpu: "\${matrix.rate}", gpu: prefer, gpu_memory: 20G, licences: 1 }
    retries: { times: 2, on: [oom, preempted, timeout, 75], backoff: 30s, grow: { memory: 2 } }
    timeout: 6h
    env: { pass: [LANG], set: { OMP_NUM_THREADS: 2 }, secret: [HF_TOKEN] }
    platform: [backend, threads]
    ignore: [with.log_every]
    with: { log_every: 10 }
    temp: [model]
  tune:
    run: [python3, "\${in.script}"]
    in: { script: ./tune.py, pairs: [train.model, ./pairs.csv] }
    out: { scores: { path: scores.jsonl, kind: metrics } }
    matrix:
      axes: { size: "\${params.sizes}", seed: { from: 1, to: "\${params.seeds}" }, share: { linear: [0, 1], count: 5 } }
      zip: { width: [64, 128], batch: [256, 128] }
      exclude: "\${params.exclude}"
      sample: { count: 20, seed: 7 }
      include: [{ size: d64l3, seed: 1, share: 0, width: 64, batch: 256 }]
      halving: { metric: loss, mode: min, param: steps, rungs: [100, 300], keep: 0.5, resume: { resume: model } }
    when: \${params.seeds} > 1 and not \${params.small}
    partial: true
    publish: { scores: results/scores.jsonl }
report:
  - { text: Why }
  - { table: tune, rows: size, columns: [loss] }
  - { figure: train.model }
`);
  expect(found).toEqual([]);
});

test('mistakes are marked where they stand', async () => {
  const wrong = stage.replace('    out:', '    outs: 1\n    out:').replace('count: 3', 'count: many').replace('pipeline: demo', 'pipeline: 3 demos');
  const { found } = await open(wrong);
  expect([...found].sort()).toEqual([
    expect.stringMatching(/^2:11 String does not match the pattern/),
    '6:5 Property outs is not allowed.',
    '8:57 Incorrect type. Expected "integer".',
  ]);
});

test('keys are completed and explained in our words', async () => {
  const { uri } = await open(`${stage}    retr\n`);
  const items = await server.request('textDocument/completion', { textDocument: { uri }, position: { line: 7, character: 8 } });
  const list = (items as { readonly items: readonly { readonly label: string; readonly documentation?: unknown }[] }).items;
  const offered = new Map(list.map(({ label, documentation }) => [label, JSON.stringify(documentation ?? '')]));
  expect([...offered.keys()]).toEqual(expect.arrayContaining(['retries', 'resources', 'checkpoint', 'timeout', 'interpreter']));
  const described = JSON.parse(readFileSync(new URL('docs/pipeline.schema.json', repository), 'utf8')) as {
    properties: { stages: { additionalProperties: { properties: Record<string, { description: string }> } } };
  };
  const { retries, matrix } = described.properties.stages.additionalProperties.properties;
  expect(offered.get('retries')).toContain(retries!.description);
  const hover = await server.request('textDocument/hover', { textDocument: { uri }, position: { line: 6, character: 6 } });
  expect(JSON.stringify(hover).replaceAll('\\\\', '')).toContain(matrix!.description);
});
