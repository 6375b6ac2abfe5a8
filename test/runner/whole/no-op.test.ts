/** A run in which nothing changed: what it writes, and what it loads. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');

let project: TestProject;
beforeAll(() => {
  project = makeProject({
    'pipe.yaml': `pipeline: still
params: { rates: [1, 2, 3] }
stages:
  collect:
    run: cat \${in.texts}/* > \${out.all}
    in: { texts: ./data }
    out: { all: all.txt }
  count:
    uses: count
    in: { all: collect.all }
    matrix: { axes: { rate: "\${params.rates}" } }
    with: { rate: "\${matrix.rate}" }
  gather:
    run: cat \${in.counts} > \${out.sum}
    in: { counts: "count[*].count" }
    out: { sum: sum.txt }
    publish: { sum: sum.txt }
`,
    'data/a.txt': 'a\n',
    'data/b.txt': 'b\n',
    'stages/count.ts': `import { writeFileSync } from 'node:fs';
import { defineStage } from 'xfolds/stage';
import { z } from 'zod';
export const stage = defineStage({
  summary: 'Count.', params: z.object({ rate: z.number() }), inputs: { all: 'file' }, outputs: { count: 'file' },
  async run({ params, outputs }) { writeFileSync(outputs.count, String(params.rate)); },
});
`,
  });
  mkdirSync(project.path('node_modules'));
  symlinkSync(repository, project.path('node_modules', 'xfolds'));
  symlinkSync(join(repository, 'node_modules', 'zod'), project.path('node_modules', 'zod'));
  expect(project.pipe(['run'])).toMatchObject({ code: 0 });
  // The first run after it may still find files too young to be trusted.
  expect(project.pipe(['run']).stderr).toContain('nothing to run: 5 cells fresh');
});
afterAll(() => project.remove());

/** Every table but those that a run may write: its own row, and stats of files. */
function rows(): Record<string, unknown[]> {
  const database = new Database(join(project.folder, 'cache', 'pipe.db'), { readonly: true });
  try {
    const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('run', 'file_stat', 'sqlite_sequence')`).pluck().all() as string[];
    return Object.fromEntries(tables.map(name => [name, database.prepare(`SELECT * FROM "${name}"`).all()]));
  } finally {
    database.close();
  }
}

function runs(): number {
  const database = new Database(join(project.folder, 'cache', 'pipe.db'), { readonly: true });
  try {
    return Number(database.prepare('SELECT count(*) FROM run').pluck().get());
  } finally {
    database.close();
  }
}

const names = (): string[] => readdirSync(join(project.folder, 'cache'), { recursive: true, encoding: 'utf8' }).filter(name => !name.startsWith('pipe.db')).sort();

test('it writes one row, its own, and makes and removes no file', () => {
  const before = { rows: rows(), runs: runs(), names: names() };
  expect(project.pipe(['run']).code).toBe(0);
  expect(rows()).toEqual(before.rows);
  expect(runs()).toBe(before.runs + 1);
  expect(names()).toEqual(before.names);
});

test('it loads neither parser nor schema nor bundler nor view', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-loaded-'));
  try {
    expect(project.pipe(['run'], { NODE_V8_COVERAGE: folder }).stderr).toContain('nothing to run');
    const loaded = new Set(readdirSync(folder).flatMap(name => {
      const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { readonly result: readonly { readonly url: string }[] };
      return result.flatMap(({ url }) => /\/node_modules\/(@[^/]+\/[^/]+|[^/]+)\//.exec(url)?.[1] ?? []);
    }));
    expect([...loaded].filter(name => !['commander', 'better-sqlite3', 'bindings', 'file-uri-to-path'].includes(name))).toEqual([]);
    expect(loaded.has('better-sqlite3')).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
