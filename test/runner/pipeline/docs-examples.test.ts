/** Examples in the documents: what they ask of shipped stages is what these take, and whole pipelines load. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { InvalidPipeline } from '../../../src/runner/diagnostic.ts';
import { loadPipeline } from '../../../src/runner/pipeline/load.ts';
import { readDocument } from '../../rig/document.ts';
import { shippedStages } from '../../rig/shipped-stages.ts';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');
// Wrong on purpose, and checked by a test of its own.
const wrong = 'docs/diagnostics.md';
const documents = ['README.md', ...readdirSync(join(packageRoot, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)].filter(path => path !== wrong);

interface Example {
  readonly path: string;
  readonly line: number;
  readonly yaml: string;
}

function examplesIn(path: string): Example[] {
  const document = readDocument(path);
  return [...document.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(found => ({ path, line: document.slice(0, found.index).split('\n').length + 1, yaml: found[1]! }));
}

type Map = Readonly<Record<string, unknown>>;
const isMap = (value: unknown): value is Map => typeof value === 'object' && value !== null && !Array.isArray(value);
const mapOf = (value: unknown): Map => (isMap(value) ? value : {});

/** Stages by name, at the top or under `stages:`. */
const stagesOf = (yaml: string): [string, Map][] => {
  const top = mapOf(parse(yaml));
  return Object.entries(isMap(top['stages']) ? top['stages'] : top).flatMap(([name, stage]) => (isMap(stage) && 'uses' in stage ? [[name, stage] as [string, Map]] : []));
};

const folder = mkdtempSync(join(tmpdir(), 'pipe-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'package.json'), '{}');
const catalogue = shippedStages(folder);
const examples = documents.flatMap(examplesIn);

test('stages of examples have inputs, params and outputs of the shipped ones', async () => {
  let checked = 0;
  const wrongs: string[] = [];
  for (const { path, line, yaml } of examples) {
    const stages = stagesOf(yaml);
    const usedBy = new Map(stages.map(([name, stage]) => [name, String(stage['uses'])]));
    for (const [name, stage] of stages) {
      const file = catalogue.find(String(stage['uses']));
      if (file === null) continue;
      checked += 1;
      const say = (what: string): void => void wrongs.push(`${path}:${line} ${name}: ${what}`);
      const info = await catalogue.info(file);
      const given = mapOf(stage['in']);
      const resumed = Object.keys(mapOf(mapOf(mapOf(stage['matrix'])['halving'])['resume']));
      for (const input of [...Object.keys(given), ...resumed]) if (!(input in info.inputs)) say(`takes no input ${input}`);
      for (const [input, kind] of Object.entries(info.inputs)) if (!kind.endsWith('?') && !(input in given)) say(`needs the input ${input}`);
      const params = mapOf(info.params['properties']);
      const halved = mapOf(mapOf(stage['matrix'])['halving'])['param'];
      for (const param of [...Object.keys(mapOf(stage['with'])), ...(halved === undefined ? [] : [String(halved)])]) if (!(param in params)) say(`takes no param ${param}`);
      for (const param of (info.params['required'] ?? []) as readonly string[]) if (!(param in mapOf(stage['with'])) && param !== halved) say(`needs the param ${param}`);
      for (const from of Object.values(given).flat()) {
        const [, producer, output] = /^([A-Za-z][\w-]*)(?:\[.*\])?\.([\w-]+)$/.exec(String(from)) ?? [];
        const source = producer === undefined ? null : catalogue.find(usedBy.get(producer) ?? producer);
        if (source !== null && !(output! in (await catalogue.info(source)).outputs)) say(`reads ${String(from)}, which is none of its outputs`);
      }
    }
  }
  expect(wrongs).toEqual([]);
  expect(checked).toBeGreaterThan(15);
});

const whole = examples.filter(({ yaml }) => /^pipeline:/m.test(yaml) && stagesOf(yaml).every(([, stage]) => catalogue.find(String(stage['uses'])) !== null));

test.each(whole.map(example => [`${example.path}:${example.line}`, example] as const))('the pipeline at %s loads', async (_, { yaml }) => {
  writeFileSync(join(folder, 'pipe.yaml'), yaml);
  const profiles = Object.keys(mapOf(mapOf(parse(yaml))['profiles']));
  for (const profile of [null, ...profiles]) {
    const mistakes = await loadPipeline({ file: join(folder, 'pipe.yaml'), profile, set: [], catalogue }).then(() => [], (error: unknown) => {
      if (error instanceof InvalidPipeline) return error.diagnostics.map(({ code, message }) => `${code}: ${message}`);
      throw error;
    });
    expect(mistakes, String(profile)).toEqual([]);
  }
});

test('there are whole ones', () => expect(whole.map(({ path }) => path)).toEqual(expect.arrayContaining(['README.md', 'docs/language.md'])));

test('the first one of docs/language.md has the cells and the profile that its text names', async () => {
  writeFileSync(join(folder, 'pipe.yaml'), examples.find(({ path }) => path === 'docs/language.md')!.yaml);
  const load = (profile: string | null): ReturnType<typeof loadPipeline> => loadPipeline({ file: join(folder, 'pipe.yaml'), profile, set: [], catalogue });
  const trained = (await load(null)).cells.map(({ id }) => id as string).filter(id => id.startsWith('train['));
  expect([trained.length, trained[0], trained.at(-1)]).toEqual([6, 'train[size=d16l1,flops=1e9,seed=1]', 'train[size=d24l2,flops=1e10,seed=1]']);
  expect((await load('lab')).inactive).toEqual([{ name: 'phantom', when: '${params.source} == phantom' }]);
});
