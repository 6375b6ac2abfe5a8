/** The program is built anew while a run goes on: the run ends with what it began with, and later ones have the new build. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Gate } from '../rig/gate.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-rebuild-')));
const clone = join(folder, 'clone');
const chunks = join(clone, 'dist', 'chunks');
const build = (): void => void execFileSync(process.execPath, ['build.mjs'], { cwd: clone, stdio: ['ignore', 'ignore', 'inherit'] });
const chunkNames = (): string[] => readdirSync(chunks).filter(name => name.endsWith('.js'));
/** A statement at the end of a module: its chunk, and those that import it, get other names. */
const change = (file: string): void => writeFileSync(join(clone, file), `${readFileSync(join(clone, file), 'utf8')}\nprocess.env['PIPE_REBUILT'] = 'yes';\n`);

beforeAll(() => {
  mkdirSync(clone);
  for (const name of ['build.mjs', 'build-start.mjs', 'package.json', 'tsconfig.json', 'src', 'stages']) cpSync(join(repository, name), join(clone, name), { recursive: true });
  // Its packages are those that are here; what the build links among them stays there.
  mkdirSync(join(clone, 'node_modules'));
  for (const name of readdirSync(join(repository, 'node_modules'))) if (!name.startsWith('.')) symlinkSync(join(repository, 'node_modules', name), join(clone, 'node_modules', name));
  build();
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('ends a run that began before, however old its build is, and removes what nobody can want any more', async () => {
  const project = join(folder, 'project');
  mkdirSync(join(project, 'stages'), { recursive: true });
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(clone, join(project, 'node_modules', 'xfolds'));
  symlinkSync(join(clone, 'node_modules', 'zod'), join(project, 'node_modules', 'zod'));
  const gate = new Gate(folder, 'long');
  writeFileSync(join(project, 'package.json'), '{}');
  writeFileSync(join(project, 'stages', 'count.ts'), `import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
export const stage = defineStage({
  summary: 'Counts.', params: z.strictObject({}), inputs: { text: 'file' }, outputs: { scores: 'metrics' },
  run: async ({ inputs, outputs }) => writeFile(outputs.scores, JSON.stringify({ metric: 'length', value: (await readFile(inputs.text)).length })),
});
`);
  writeFileSync(join(project, 'long.yaml'), `pipeline: long
stages:
  first: { run: ${JSON.stringify(`${gate.wait}; echo first > \${out.text}`)}, out: { text: text.txt } }
  count: { uses: count, in: { text: first.text } }
  last: { run: "cat \${in.scores} > \${out.copy}", in: { scores: count.scores }, out: { copy: copy.txt } }
report: [{ table: count }]
`);
  // Built long ago, as is usual: what was made today is not what is at stake.
  const yesterday = new Date(Date.now() - 86_400_000);
  for (const name of chunkNames()) utimesSync(join(chunks, name), yesterday, yesterday);
  const before = chunkNames();

  const run = spawn(process.execPath, [join(clone, 'dist', 'pipe.js'), 'run', 'long.yaml', '--plain'], { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [run.stdout, run.stderr]) stream.setEncoding('utf8').on('data', (text: string) => void (said += text));
  const code = new Promise<number | null>(resolve => run.on('close', resolve));
  const pass = await gate.reached();

  change('src/runner/run/run-plan.ts');
  change('src/runner/report/write-page.ts');
  build();
  const after = chunkNames();
  expect(after.length).toBeGreaterThan(before.length);
  expect(before.filter(name => !after.includes(name))).toEqual([]);

  await pass();
  expect(await code, said).toBe(0);
  expect(said).toContain('3 ran');
  expect(readFileSync(join(project, 'cache', 'report', 'long.html'), 'utf8')).toContain('length');

  // The new build finds what the old one kept.
  const again = spawnSync(process.execPath, [join(clone, 'dist', 'pipe.js'), 'run', 'long.yaml', '--plain'], { cwd: project, encoding: 'utf8' });
  expect([again.status, again.stderr]).toEqual([0, expect.stringContaining('3 cells fresh') as string]);

  const list = join(chunks, 'replaced.json');
  const replaced = JSON.parse(readFileSync(list, 'utf8')) as Record<string, number>;
  expect(Object.keys(replaced).length).toBeGreaterThan(0);
  writeFileSync(list, JSON.stringify(Object.fromEntries(Object.entries(replaced).map(([name, since]) => [name, since - 8 * 86_400_000]))));
  build();
  expect(Object.keys(replaced).filter(name => existsSync(join(chunks, name)))).toEqual([]);
  expect(spawnSync(process.execPath, [join(clone, 'dist', 'pipe.js'), 'run', 'long.yaml', '--plain'], { cwd: project }).status).toBe(0);
}, 240_000);
