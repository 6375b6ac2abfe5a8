import { expect, test } from 'vitest';
import { originsOf, locate } from '../../../src/runner/pipeline/positions.ts';
import { load, mistakes } from './rig/files.ts';

const text = `pipeline: demo
params:
  input: { resolution: 32, patch: 8 }
  sizes: [a, b]
  open: {}
  ratio: 1e10
  label: r\${params.input.resolution}
  same: \${params.sizes}
profiles:
  lab:
    input: { resolution: 64 }
    sizes: [c]
`;

test('a profile merges maps deeply and replaces everything else', async () => {
  const graph = await load(text, { profile: 'lab' });
  expect(graph.params).toMatchObject({ input: { resolution: 64, patch: 8 }, sizes: ['c'] });
  expect(graph.profile).toBe('lab');
});

test('--set outranks the profile, and its value is YAML', async () => {
  const graph = await load(text, { profile: 'lab', set: ['input.resolution=128', 'sizes=[x, y]', 'ratio=2.5', 'open.anything=yes', 'label='] });
  expect(graph.params).toMatchObject({ input: { resolution: 128, patch: 8 }, sizes: ['x', 'y'], ratio: 2.5, open: { anything: 'yes' }, label: '' });
  expect(graph.overrides).toHaveLength(5);
});

test('params may name other params, as they stand in the end', async () => {
  const graph = await load(text, { set: ['input.resolution=48', 'sizes=[z]'] });
  expect(graph.params).toMatchObject({ label: 'r48', same: ['z'] });
});

test('1e10 is a number, and yes is a text, as in YAML 1.2', async () => {
  expect((await load('pipeline: p\nparams: { a: 1e10, b: yes, c: 0o17, d: 012 }\n')).params).toEqual({ a: 1e10, b: 'yes', c: 15, d: 12 });
});

test.each([
  [['siez=1'], /no param is called `siez`/, 'sizes'],
  [['input.resolutoin=1'], /input\.resolutoin/, 'resolution'],
  [['sizes'], /not NAME=VALUE/, 'for example'],
  [['sizes=[1'], /not valid YAML/, 'quote'],
  [['ratio=.nan'], /not valid YAML/, 'quote'],
  [['sizes=[.inf]'], /not valid YAML/, 'quote'],
  [['label="a\\0b"'], /--set label="a\\0b": .*cannot hold the character NUL/, 'take it out'],
  [['sizes=["\\0"]'], /cannot hold the character NUL/, 'take it out'],
  [['open={"\\0": 1}'], /cannot hold the character NUL/, 'take it out'],
])('--set %s is refused', async (set, message, hint) => {
  const [found, ...others] = await mistakes(text, { set });
  expect(others).toEqual([]);
  expect(found!.message).toMatch(message);
  expect(found!.hint).toContain(hint);
  expect(found!.position).toBeNull();
});

test('a profile that no file has is refused', async () => {
  const found = await mistakes(text, { profile: 'lib' });
  expect(found).toEqual([expect.objectContaining({ code: 'unknown-profile', hint: 'did you mean `lab`?' })]);
});

test('every param knows where it was written: default, profile or command line', async () => {
  const stages = `stages:
  a:
    run: echo \${params.label} \${params.ratio}
    with: { size: "\${params.sizes}", deep: { patch: "\${params.input.patch}" }, all: "\${params.input}" }
`;
  const graph = await load(text + stages, { profile: 'lab', set: ['ratio=3'] });
  const stage = graph.stages[0]!;
  const shown = (part: string): string[] => originsOf(stage, part).map(origin => (origin.kind === 'file' ? origin.pointer : origin.text));
  expect(shown('with.size')).toEqual(['/stages/a/with/size', '/profiles/lab/sizes']);
  expect(shown('with.deep.patch')).toEqual(['/stages/a/with/deep/patch', '/params/input/patch']);
  expect(shown('with.deep.patch.more')).toEqual(shown('with.deep.patch'));
  expect(shown('with.all')).toEqual(['/stages/a/with/all', '/profiles/lab/input/resolution', '/params/input/patch'].sort((a, b) => shown('with.all').indexOf(a) - shown('with.all').indexOf(b)));
  expect(shown('run')).toEqual(['/stages/a/run', '/params/label', '/profiles/lab/input/resolution', '--set ratio=3']);
  expect(shown('unheard.of')).toEqual(['/stages/a']);
  expect(originsOf(stage, 'with.size').map(origin => locate(origin)!.line)).toEqual([16, 12]);
});

test('params of typed stages are validated in one call for all cells, and get their defaults', async () => {
  const { study } = await import('./rig/catalogue.ts');
  const catalogue = study();
  const graph = await load(`pipeline: p
stages:
  t:
    uses: train
    in: { images: ./x }
    matrix: { axes: { seed: { from: 1, to: 50 } } }
    with: { seed: "\${matrix.seed}" }
  u:
    uses: train
    in: { images: ./x }
`, { catalogue });
  expect(catalogue.calls.checkParams).toBe(1);
  expect(graph.cells[7]!.with).toEqual({ size: 'd16l1', flops: 1, seed: 8 });
  expect(graph.sources).toEqual([graph.file, '/modules/train.ts', '/modules/shared.ts']);
});

test('a wrong value that came from a param shows both places, and is said once for all cells', async () => {
  const found = await mistakes(`pipeline: p
params: { names: [1, 2], rate: fast }
stages:
  t:
    uses: train
    in: { images: ./x }
    matrix: { axes: { name: "\${params.names}" } }
    with: { size: "\${matrix.name}", optimiser: { rate: "\${params.rate}" } }
`);
  expect(found.map(d => d.code)).toEqual(['bad-param', 'bad-param']);
  expect(found[0]!.message).toMatch(/with\.size.*t\[name=1\] and 1 more/);
  expect(found[1]!.related).toEqual([{ message: 'the value comes from here', position: expect.objectContaining({ line: 2, column: 32 }) }]);
});

test('a strict schema inside a union is heard, too', async () => {
  const { catalogueOf } = await import('./rig/catalogue.ts');
  const { z } = await import('zod');
  const catalogue = catalogueOf({ s: { params: z.object({ one: z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('a'), x: z.number() }), z.strictObject({ kind: z.literal('b') })]) }) } });
  const text = (more: string): string => `pipeline: p\nstages:\n  a: { uses: s, with: { one: { kind: b${more} } } }\n`;
  expect(await mistakes(text(''), { catalogue })).toEqual([]);
  expect(await mistakes(text(', y: 1'), { catalogue })).toEqual([expect.objectContaining({ code: 'bad-param', message: expect.stringContaining('"y"') as string })]);
});
