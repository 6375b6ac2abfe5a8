/** Whatever stands in a file, the answer is a graph or a list of mistakes with places: never a crash. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { Json } from '../../../src/runner/json.ts';
import { dependenciesOf } from '../../../src/runner/pipeline/reader.ts';
import { InvalidPipeline } from '../../../src/runner/diagnostic.ts';
import { load } from './rig/files.ts';

const sound: Json = {
  pipeline: 'p', title: 'T', include: [],
  params: { source: 'phantom', sizes: ['a', 'b'], n: 2, deep: { x: 1 }, other: '${params.n}' },
  profiles: { lab: { n: 3 } },
  stages: {
    phantom: { uses: 'phantom', when: '${params.source} == phantom' },
    download: { uses: 'download', when: '${params.source} == roco' },
    pre: { uses: 'preprocess', in: { pairs: ['download.pairs', 'phantom.pairs'] } },
    train: {
      uses: 'train', in: { images: 'pre.images' }, with: { size: '${matrix.size}', seed: '${matrix.seed}', optimiser: { name: 'adam', rate: 0.1 } },
      matrix: {
        axes: { size: '${params.sizes}', seed: { from: 1, to: '${params.n}' } }, zip: { p: [1, 2], q: ['x', 'y'] }, exclude: [{ size: 'a', seed: 1 }], sample: { count: 3, seed: 1 },
        halving: { metric: 'loss', mode: 'min', param: 'steps', rungs: [1, 2], keep: 0.5, resume: { resume: 'model' } },
      },
      resources: { cpu: 2, gpu: 'prefer', gpu_memory: '20G', own: 1 }, retries: { times: 2, on: ['oom'], backoff: '30s', grow: { memory: 2 } }, timeout: '6h', ignore: ['with.seed'],
    },
    evaluate: { uses: 'evaluate', each: 'train', in: { model: 'train.model', images: 'pre.images' } },
    fit: { uses: 'fit', in: { runs: 'evaluate[*].metrics' }, publish: { law: 'results/law.json' } },
    note: {
      run: 'wc ${in.c} > ${out.o} # ${params.n}', in: { c: 'pre.captions', g: './x/**/*.py', t: 'train[seed=1,*].model' }, out: { o: 'o.txt', p: { path: 'p', kind: 'file' } },
      env: { pass: ['LANG'], set: { A: '1' }, secret: ['S'] }, needs: ['fit'], platform: ['os'], temp: ['o'],
    },
    list: { run: ['a', '${params.n}'], interpreter: 'python3' },
  },
  report: [{ table: 'evaluate', rows: 'size' }, { figure: 'fit.plot' }, { text: 'x' }],
};

function pathsOf(value: Json, path: readonly string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return [[...path]];
  return [[...path], ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner as Json, [...path, key]))];
}

function changed(value: Json, path: readonly string[], how: (old: Json) => Json | undefined): Json {
  const [step, ...rest] = path;
  if (step === undefined) return how(value) ?? null;
  const copy = (Array.isArray(value) ? [...(value as Json[])] : { ...(value as object) }) as Record<string, Json>;
  const inner = rest.length > 0 ? changed(copy[step]!, rest, how) : how(copy[step]!);
  if (inner === undefined) delete copy[step];
  else copy[step] = inner;
  return Array.isArray(copy) ? (copy as Json[]).filter(item => item !== undefined) : copy;
}

const paths = pathsOf(sound);
const words = ['${params.n}', '${params.sizes}', '${matrix.size}', '${in.x}', '${', '$${x}', 'train.model', 'train[*].model', 'train[size=a', './x', '../..', '/', '*', 'a b', '', 'nope', '-1', '${HOME}', 'phantom', 'rung', '__proto__', 'constructor', 'train'];
const piece: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(...words, null, true, 0, -1, 1.5, 1e300, [], {}),
  fc.array(fc.constantFrom<Json>(...words, 1, null), { maxLength: 3 }),
  fc.dictionary(fc.constantFrom(...words.filter(word => word !== '__proto__'), 'from', 'to', 'log', 'count', 'path'), fc.constantFrom<Json>(...words, 1, null, []), { maxKeys: 3 }),
);
const change = fc.record({ at: fc.nat(paths.length - 1), to: fc.option(piece, { nil: undefined }), remove: fc.boolean() });

async function check(text: string): Promise<'sound' | 'invalid'> {
  try {
    const graph = await load(text);
    for (const cell of graph.cells) for (const before of dependenciesOf(cell)) expect(graph.cells[before]).toBeDefined();
    expect(JSON.parse(JSON.stringify(graph))).toEqual(graph);
    expect(new Set(graph.cells.map(cell => cell.id)).size).toBe(graph.cells.length);
    return 'sound';
  } catch (error) {
    if (!(error instanceof InvalidPipeline)) throw error;
    const lines = text.split('\n');
    for (const { position, message } of error.diagnostics) {
      expect(message).not.toMatch(/undefined|\[object/);
      expect(position).not.toBeNull();
      expect(lines[position!.line - 1]).toBeDefined();
      // What is missing at the end of a line is marked one column after it.
      expect(position!.column - 1 + position!.length, message).toBeLessThanOrEqual(lines[position!.line - 1]!.length + 1);
    }
    return 'invalid';
  }
}

test('the file that is changed below is sound, flow and block', async () => {
  expect(await check(stringify(sound))).toBe('sound');
  expect(await check(JSON.stringify(sound))).toBe('sound');
});

test('property: pieces replaced and removed', async () => {
  await fc.assert(fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), fc.boolean(), async (changes, flow) => {
    let value: Json = sound;
    for (const { at, to, remove } of changes) {
      try {
        value = changed(value, paths[at]!, () => (remove ? undefined : to ?? null));
      } catch {
        // the piece was inside one that an earlier change took away
      }
    }
    await check(flow ? JSON.stringify(value) : stringify(value));
  }), { numRuns: 120 });
});

test('property: characters inserted and removed', async () => {
  const text = stringify(sound);
  await fc.assert(fc.asyncProperty(fc.nat(text.length), fc.nat(12), fc.constantFrom('', ' ', '\t', ':', '- ', '{', '}', '[', ']', '"', "'", '&a ', '*a', '#', '\n', '!x ', '${', '<<: ', '\u0000', '|', '%'), async (at, drop, insert) => {
    await check(text.slice(0, at) + insert + text.slice(at + drop));
  }), { numRuns: 120, examples: [[text.indexOf('results/law.json'), 0, '\u0000']] });
});
