/** What `pipe cache gc` finds in the folders that the program fills for itself. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { bundleStage, statelessPackages } from '../../../src/runner/plan/bundle.ts';
import { findStaleFiles } from '../../../src/runner/plan/stale-files.ts';
import { packageRoot, PlanRig } from './plan-rig.ts';

const stage = (summary: string): string => `import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
export const stage = defineStage({ summary: '${summary}', params: z.strictObject({ n: z.int() }), inputs: {}, outputs: { o: 'file' }, async run() {} });
`;
const later = (): number => Date.now() + 2 * 3_600_000;

test('bundles and plans that nothing refers to any more are found, and only these', async () => {
  const rig = new PlanRig({
    'pipe.yaml': 'pipeline: p\nparams: { n: 1 }\nstages:\n  a: { uses: a, with: { n: "${params.n}" } }\n  b: { uses: b, with: { n: 2 } }\n',
    'stages/a.ts': stage('First.'), 'stages/b.ts': stage('Other.'),
  });
  const bundle = (name: string): Promise<string> => bundleStage(join(rig.root, `stages/${name}.ts`), { cache: rig.cache, base: rig.root, packageRoot });
  const stale = (now = later()): string[] => findStaleFiles(rig.cache, packageRoot, now).map(({ path }) => basename(path)).sort((a, b) => Number(a.startsWith('stage-')) - Number(b.startsWith('stage-')) || (a.endsWith('.mjs') ? -1 : b.endsWith('.mjs') ? 1 : a < b ? -1 : 1));
  const graphs = (): string[] => readdirSync(join(rig.cache, 'plans')).filter(name => name.startsWith('graph-')).sort();

  await rig.graph();
  const old = await bundle('a');
  const [zod] = statelessPackages(old)!;
  expect(stale()).toEqual([]);

  rig.write('stages/a.ts', stage('Second.'));
  const now = await bundle('a');
  // The graph was read with the old stage.
  const before = graphs();
  expect(stale()).toEqual([basename(old), ...before, expect.stringMatching(/^stage-/)]);
  expect(stale(Date.now())).toEqual([]);

  for (const { path } of findStaleFiles(rig.cache, packageRoot, later())) rmSync(path);
  await rig.graph();
  expect(stale()).toEqual([]);
  expect(await bundle('a')).toBe(now);

  rmSync(join(rig.root, 'stages/b.ts'));
  const other = stale().filter(name => name.endsWith('.mjs'));
  expect(other).toHaveLength(1);
  expect(other).not.toContain(basename(now));
  expect(existsSync(zod!)).toBe(true);
});
