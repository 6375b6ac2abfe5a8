import { existsSync, readdirSync as readdir, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { PipeError } from '../../../src/runner/diagnostic.ts';
import { bundleStage, statelessPackages } from '../../../src/runner/plan/bundle.ts';
import { createCatalogue } from '../../../src/runner/plan/catalogue.ts';
import { loadClosure, loadClosureSync } from '../../../src/runner/plan/closure-cache.ts';
import type { Closure } from '../../../src/runner/plan/closure.ts';
import type { StageModule } from '../../../src/stage.ts';
import { explain } from '../../../src/runner/plan/explain.ts';
import { packageRoot, PlanRig, reasonsOf } from './plan-rig.ts';

const stageText = `
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
import type { Shape } from '../lib/types.ts';
import { helper } from '../lib/helper.ts';
export const stage = defineStage({
  summary: 'A stage.',
  params: z.strictObject({ size: z.int().min(1).default(3), name: z.string().trim().default('x') }),
  inputs: {},
  outputs: { out: 'file' },
  async run({ outputs, params }) {
    const shape: Shape = { size: params.size };
    const { lazy } = await import('../lib/lazy.ts');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(outputs.out, helper(shape) + lazy);
  },
});
`;
const files: Readonly<Record<string, string>> = {
  'pipe.yaml': 'pipeline: p\nstages:\n  a: { uses: a }\n  b: { uses: b }\n',
  'stages/a.ts': stageText,
  'stages/b.ts': stageText.replace(/import \{ helper.*\n/, '').replace('helper(shape)', "''"),
  'lib/types.ts': 'export interface Shape { size: number }\n',
  'lib/helper.ts': "import { deep } from './deep.js';\nexport { other } from './other.ts';\nexport const helper = (shape: { size: number }): string => deep + shape.size;\n",
  'lib/deep.ts': "export const deep = 'deep';\n",
  'lib/other.ts': "export const other: string = 'other';\n",
  'lib/lazy.ts': "const text = new URL('./asset.txt', import.meta.url);\nexport const lazy = text.pathname;\n",
  'lib/asset.txt': 'asset',
  'lib/unused.ts': 'export const unused = 1;\n',
};

const closureOf = (project: PlanRig, name = 'a'): Promise<Closure> => loadClosure(optionsOf(project, name));
const optionsOf = (project: PlanRig, name: string): Parameters<typeof loadClosure>[0] => ({ entry: join(project.root, 'stages', `${name}.ts`), base: project.root, packageRoot, cache: project.cache });

test('the closure holds static and literal dynamic imports, re-exports and assets, and nothing that only types need', async () => {
  const closure = await closureOf(new PlanRig(files));
  expect(Object.keys(closure.code)).toEqual(['lib/asset.txt', 'lib/deep.ts', 'lib/helper.ts', 'lib/lazy.ts', 'lib/other.ts', 'stages/a.ts']);
  expect(closure.packages).toHaveProperty('zod');
});

test('comments, formatting, quotes and types do not count; code does', async () => {
  const project = new PlanRig(files);
  const { digest } = await closureOf(project);
  for (const text of [
    "// a comment\nexport const deep = 'deep';",
    'export const deep   =\n\n  "deep"\n',
    "/* legal? */ /** @license MIT */ export const deep: string = 'deep' as string;",
    "type Unused = number;\nexport const deep = 'deep';",
    "import type { Shape } from './types.ts';\nexport const deep = 'deep' satisfies string;\nexport type Again = Shape;",
  ]) {
    project.write('lib/deep.ts', text);
    expect((await closureOf(project)).digest, text).toBe(digest);
  }
  project.write('lib/types.ts', 'export interface Shape { size: number; more?: string }\n');
  expect((await closureOf(project)).digest).toBe(digest);
  for (const [file, text] of [['lib/deep.ts', "export const deep = 'deeper';"], ['lib/asset.txt', 'other'], ['lib/other.ts', 'export const other = 2;']] as const) {
    const before = (await closureOf(project)).digest;
    project.write(file, text);
    expect((await closureOf(project)).digest, file).not.toBe(before);
  }
});

test('the same closure elsewhere on disk has the same digest, and planning finds the one that loading made', async () => {
  const [one, two] = [new PlanRig(files), new PlanRig(files)];
  const closure = await closureOf(one);
  expect((await closureOf(two)).digest).toBe(closure.digest);
  expect(loadClosureSync(optionsOf(one, 'a'))).toEqual(closure);
  one.write('lib/deep.ts', "export const deep = 'new';");
  const changed = loadClosureSync(optionsOf(one, 'a'));
  expect(changed.digest).not.toBe(closure.digest);
  expect(await closureOf(one)).toEqual(changed);
});

test('editing a module runs the stages that import it, and why names the file and the chain', async () => {
  const project = new PlanRig(files);
  await project.run();
  project.write('lib/unused.ts', 'export const unused = 2;');
  expect((await project.plan()).counts.fresh).toBe(2);
  project.write('lib/deep.ts', "export const deep = 'new';");
  const plan = await project.plan();
  expect(reasonsOf(plan, 'a')).toEqual([{ kind: 'code-changed', file: 'lib/deep.ts', change: 'edited', chain: ['stages/a.ts', 'lib/helper.ts', 'lib/deep.ts'] }]);
  expect(reasonsOf(plan, 'b')).toEqual([]);
  project.write('lib/helper.ts', "import { more } from './more.ts';\nexport const helper = (shape: unknown): string => more + String(shape);\n");
  project.write('lib/more.ts', "export const more = 'more';");
  expect(explain(await project.plan(), 0, project.store).reasons.map(reason => reason.kind === 'code-changed' && [reason.file, reason.change])).toEqual([
    ['lib/deep.ts', 'removed'], ['lib/helper.ts', 'edited'], ['lib/more.ts', 'added'], ['lib/other.ts', 'removed'],
  ]);
});

test('a locked version of a package that is reached counts, one that is not does not', async () => {
  const lock = (zod: string, other: string, nested: string): string => JSON.stringify({
    lockfileVersion: 3,
    packages: {
      '': { dependencies: { zod: '*' } },
      'node_modules/zod': { version: zod, dependencies: { nested: '*' }, optionalDependencies: { 'zod-linux': '1' } },
      'node_modules/zod/node_modules/nested': { version: nested },
      'node_modules/nested': { version: '9.9.9' },
      'node_modules/zod-linux': { version: '1.0.0' },
      'node_modules/other': { version: other },
    },
  });
  const project = new PlanRig({ ...files, 'package-lock.json': lock('4.0.0', '1.0.0', '2.0.0') });
  await project.run();
  expect((await closureOf(project)).packages).toEqual({ zod: '4.0.0', 'zod/node_modules/nested': '2.0.0', 'zod-linux': '1.0.0' });
  project.write('package-lock.json', lock('4.0.0', '2.0.0', '2.0.0'));
  expect((await project.plan()).counts.fresh).toBe(2);
  project.write('package-lock.json', lock('4.0.1', '2.0.0', '2.1.0'));
  expect(reasonsOf(await project.plan(), 'a')).toEqual([
    { kind: 'package-changed', name: 'zod', before: '4.0.0', after: '4.0.1' },
    { kind: 'package-changed', name: 'zod/node_modules/nested', before: '2.0.0', after: '2.1.0' },
  ]);
});

test('a computed import is an error with its place and the way to write it', async () => {
  const project = new PlanRig({ ...files, 'lib/deep.ts': "export const deep = 'a';\n// a comment\nexport const load = (name: string) =>\n  import(`./parts/${name}.ts`);\n" });
  const failure = await caught(closureOf(project));
  expect(failure.message).toContain(`${project.root}/lib/deep.ts:4:3`);
  expect(failure.message).toContain('import(`./parts/${name}.ts`)');
  expect(failure).toMatchObject({ code: 'computed-import', exitCode: 2 });
  expect(failure.hint).toContain("import('./the-module.ts')");
});

test('a module that is not there, a syntax error and a private name are said with their file', async () => {
  const project = new PlanRig({ ...files, 'lib/deep.ts': "import './gone.ts';\n" });
  expect((await caught(closureOf(project))).message).toContain("lib/deep.ts imports './gone.ts'");
  project.write('lib/deep.ts', 'export const = 1;');
  expect((await caught(closureOf(project))).message).toContain('lib/deep.ts:1:14');
  project.write('lib/deep.ts', "import '#private';");
  expect((await caught(closureOf(project))).code).toBe('private-import');
});

test('a bundle is one module that Node imports, with packages and assets where they are', async () => {
  const project = new PlanRig({ ...files, 'lib/lazy.ts': "import { readFileSync } from 'node:fs';\nexport const lazy = readFileSync(new URL('./asset.txt', import.meta.url), 'utf8') + import.meta.dirname;\n" });
  const path = await bundleStage(join(project.root, 'stages/a.ts'), { cache: project.cache, base: project.root, packageRoot });
  expect(path.startsWith(join(project.cache, 'code'))).toBe(true);
  const text = readFileSync(path, 'utf8');
  // zod comes as one file beside it, others are where they were installed.
  const [zod] = statelessPackages(path)!;
  expect(dirname(zod!)).toBe(dirname(path));
  expect(text).toContain(`from "${pathToFileURL(zod!).href}"`);
  project.write('stages/b.ts', "import { stringify } from 'yaml';\nexport const text = stringify({});\n");
  const other = await bundleStage(join(project.root, 'stages/b.ts'), { cache: project.cache, base: project.root, packageRoot });
  expect(readFileSync(other, 'utf8')).toMatch(/from "file:[^"]*\/node_modules\/yaml\//);
  expect(statelessPackages(other)).toBeNull();
  const { stage } = (await import(pathToFileURL(path).href)) as { stage: StageModule };
  const out = join(project.root, 'out.txt');
  await stage.run({ params: { size: 7 }, outputs: { out } } as unknown as Parameters<typeof stage.run>[0]);
  expect(readFileSync(out, 'utf8')).toBe(`deep7asset${project.root}/lib`);
  expect(await bundleStage(join(project.root, 'stages/a.ts'), { cache: project.cache, base: project.root, packageRoot })).toBe(path);
});

test('a worker named by new URL is bundled, too', async () => {
  const project = new PlanRig({
    ...files,
    'lib/lazy.ts': "export const lazy = new URL('./worker.ts', import.meta.url).href;\n",
    'lib/worker.ts': "import { deep } from './deep.ts';\nexport const answer: string = deep;\n",
  });
  expect(Object.keys((await closureOf(project, 'b')).code)).toEqual(['lib/deep.ts', 'lib/lazy.ts', 'lib/worker.ts', 'stages/b.ts']);
  const path = await bundleStage(join(project.root, 'lib/lazy.ts'), { cache: project.cache, base: project.root, packageRoot });
  const { lazy } = (await import(pathToFileURL(path).href)) as { lazy: string };
  expect(lazy.endsWith('.mjs')).toBe(true);
  expect(((await import(lazy)) as { answer: string }).answer).toBe('deep');
});

test("a bundle's stack names the line of the TypeScript", async () => {
  const project = new PlanRig({ ...files, 'lib/deep.ts': "interface A { b: 1 }\n\nexport const fail = (a?: A): never => {\n  throw new Error(String(a));\n};\n" });
  const path = await bundleStage(join(project.root, 'lib/deep.ts'), { cache: project.cache, base: project.root, packageRoot });
  const main = join(project.root, 'main.mjs');
  writeFileSync(main, `import { fail } from ${JSON.stringify(pathToFileURL(path).href)};\ntry { fail(); } catch (error) { console.log(error.stack); }`);
  const { execFileSync } = await import('node:child_process');
  expect(execFileSync(process.execPath, ['--enable-source-maps', main], { encoding: 'utf8' })).toContain(`${project.root}/lib/deep.ts:4:`);
});

test('the catalogue finds stages of the project before shipped ones, and describes and checks them', async () => {
  const project = new PlanRig(files);
  const catalogue = createCatalogue({ root: project.root, packageRoot, cache: project.cache });
  expect(catalogue.names()).toEqual(expect.arrayContaining(['a', 'b', 'tokenize']));
  expect(catalogue.find('tokenize')).toBe(join(packageRoot, 'stages/tokenize.ts'));
  expect(catalogue.find('nothing')).toBeNull();
  const file = catalogue.find('a')!;
  expect(file).toBe(join(project.root, 'stages/a.ts'));
  const info = await catalogue.info(file);
  expect(info).toMatchObject({ summary: 'A stage.', stageApi: 1, inputs: {}, outputs: { out: 'file' }, params: { type: 'object', properties: { size: { minimum: 1, default: 3 } } } });
  expect(await catalogue.checkParams(file, [{}, { size: 0 }, { size: 2, name: ' y ' }, { sise: 1 }])).toMatchObject([
    { ok: true, value: { size: 3, name: 'x' } },
    { ok: false, issues: [{ path: ['size'] }] },
    { ok: true, value: { size: 2, name: 'y' } },
    { ok: false },
  ]);
  expect(await catalogue.closureFiles(file)).toContain(join(project.root, 'lib/deep.ts'));
  project.write('stages/empty.ts', 'export const nothing = 1;');
  await expect(catalogue.info(join(project.root, 'stages/empty.ts'))).rejects.toThrow('exports no stage');
});

test('a graph is loaded from the cache until a source, the profile, a set or a shadowing stage changes', async () => {
  const project = new PlanRig({ ...files, 'pipe.yaml': 'pipeline: p\ninclude: [part.yaml]\nparams: { size: 3 }\nprofiles: { big: { size: 9 } }\nstages:\n  a: { uses: a, with: { size: "${params.size}" } }\n', 'part.yaml': 'stages:\n  s: { run: "true" }\n' });
  const first = await project.graph();
  // From the cache: a graph that was read from files is never the same text, because this one was changed behind its back.
  const body = cacheBody(project);
  writeFileSync(body, readFileSync(body, 'utf8').replaceAll('"size":3', '"size":4'));
  expect((await project.graph()).cells.find(({ id }) => id === 'a')?.with).toMatchObject({ size: 4 });
  expect((await project.graph({ profile: 'big' })).cells.find(({ id }) => id === 'a')?.with).toMatchObject({ size: 9 });
  expect((await project.graph({ set: ['size=5'] })).cells.find(({ id }) => id === 'a')?.with).toMatchObject({ size: 5 });
  project.write('part.yaml', 'stages:\n  s: { run: "false" }\n');
  const again = await project.graph();
  expect(again.cells.find(({ id }) => id === 'a')?.with).toEqual(first.cells.find(({ id }) => id === 'a')?.with);
  expect(again.cells).not.toEqual(first.cells);
  // One body for each of the three ways it was asked for.
  expect(readdir(join(project.cache, 'plans')).filter(name => name.endsWith('.body.json'))).toHaveLength(3);
});

test('a stage of the project that appears takes the place of the shipped one', async () => {
  const project = new PlanRig({ 'pipe.yaml': 'pipeline: p\nstages:\n  t: { uses: tokenize, in: { captions: ./c } }\n', c: '' });
  const file = async (): Promise<string | null> => {
    const { action } = (await project.graph()).cells[0]!;
    return action.kind === 'module' ? action.file : null;
  };
  expect(await file()).toBe(join(packageRoot, 'stages/tokenize.ts'));
  expect(await file()).toBe(join(packageRoot, 'stages/tokenize.ts'));
  project.write('stages/tokenize.ts', readFileSync(join(packageRoot, 'stages/tokenize.ts'), 'utf8').replaceAll("'../src/", `'${packageRoot}/src/`));
  expect(await file()).toBe(join(project.root, 'stages/tokenize.ts'));
});

function cacheBody(project: PlanRig): string {
  const plans = join(project.cache, 'plans');
  const header = [...readdir(plans)].find(name => name.startsWith('graph-') && !name.endsWith('.body.json'))!;
  const { body } = JSON.parse(readFileSync(join(plans, header), 'utf8')) as { body: string };
  const path = join(plans, `${header.slice(0, -5)}-${body}.body.json`);
  expect(existsSync(path)).toBe(true);
  return path;
}

async function caught(promise: Promise<unknown>): Promise<PipeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof PipeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
