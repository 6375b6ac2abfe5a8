import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf } from '../../../src/runner/plan/key.ts';
import { finishManifest } from '../../../src/runner/plan/manifest.ts';
import { readPathInput } from '../../../src/runner/plan/path-inputs.ts';
import { canonicalJson } from '../../../src/runner/store/canonical-json.ts';
import { migrate } from '../../../src/runner/store/database.ts';
import type { Json } from '../../../src/runner/json.ts';
import type { ManifestPart } from '../../../src/runner/store/model.ts';
import { StatCache } from '../../../src/runner/store/stat-cache.ts';
import { TreeNodes } from '../../../src/runner/store/tree-nodes.ts';
import { temporaryFolder } from '../store/temp-folder.ts';

/** What a tree holds, as a plain value: the model against which digests are tested. */
type Model = Map<string, string>;

const names = ['a', 'b', 'sub/a', 'sub/c', 'sub/deep/x', 'é'];
const edit = fc.oneof(
  fc.record({ do: fc.constant('write' as const), name: fc.constantFrom(...names), content: fc.constantFrom('', 'x', 'xy', 'yx', 'longer text') }),
  fc.record({ do: fc.constant('remove' as const), name: fc.constantFrom(...names) }),
  fc.record({ do: fc.constant('rename' as const), name: fc.constantFrom(...names), to: fc.constantFrom(...names) }),
  fc.record({ do: fc.constant('touch' as const), name: fc.constantFrom(...names), time: fc.integer({ min: 1, max: 1e9 }) }),
  fc.record({ do: fc.constant('mode' as const), name: fc.constantFrom(...names), mode: fc.constantFrom(0o644, 0o755, 0o600) }),
  fc.record({ do: fc.constant('link' as const), name: fc.constantFrom(...names), target: fc.constantFrom('other', 'a') }),
);

function apply(root: string, model: Model, step: typeof edit extends fc.Arbitrary<infer T> ? T : never): void {
  const path = join(root, step.name);
  const now = model.get(step.name);
  switch (step.do) {
    case 'write':
      rmSync(path, { force: true });
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, step.content);
      model.set(step.name, `f${step.content}`);
      break;
    case 'link':
      rmSync(path, { force: true });
      mkdirSync(dirname(path), { recursive: true });
      symlinkSync(step.target, path);
      model.set(step.name, `l${step.target}`);
      break;
    case 'remove':
      rmSync(path, { force: true });
      model.delete(step.name);
      break;
    case 'rename':
      if (now === undefined) break;
      mkdirSync(dirname(join(root, step.to)), { recursive: true });
      renameSync(path, join(root, step.to));
      model.delete(step.name);
      model.set(step.to, now);
      break;
    case 'touch':
      if (now !== undefined && !now.startsWith('l')) utimesSync(path, step.time, step.time);
      break;
    case 'mode':
      if (now === undefined || now.startsWith('l')) break;
      chmodSync(path, step.mode);
      model.set(step.name, ((step.mode & 0o100) !== 0 ? 'x' : 'f') + now.slice(1));
  }
}

test('after any edits, the key of an input folder or glob is what it was exactly when the content is', () => {
  const base = temporaryFolder();
  let count = 0;
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), edits => {
      const root = join(base, String(count++));
      // Empty folders count, so they are there from the beginning.
      mkdirSync(join(root, 'data/sub/deep'), { recursive: true });
      const database = new Database(':memory:');
      migrate(database, 'test');
      const model: Model = new Map();
      const seen = new Map<string, string>();
      const seenGlob = new Map<string, string>();
      for (const step of [null, ...edits]) {
        if (step !== null) apply(join(root, 'data'), model, step);
        // Every plan is another process a minute later: what the stat cache trusts has to be right.
        const stats = new StatCache(database, { writable: true, clock: () => Date.now() + 60_000 });
        const folder = readPathInput({ kind: 'path', path: 'data', glob: false }, root, stats, new TreeNodes()).value;
        const content = canonicalJson([...model].sort());
        same(seen, content, keyOf('plan', [{ part: 'in.d', value: folder }]));
        stats.flush();
        // A glob follows links, which here lead nowhere or anywhere.
        if ([...model.values()].some(value => value.startsWith('l'))) continue;
        const glob = readPathInput({ kind: 'path', path: 'data/**', glob: true }, root, stats, new TreeNodes()).value;
        same(seenGlob, content, keyOf('plan', [{ part: 'in.d', value: glob }]));
        stats.flush();
      }
      database.close();
    }),
    { numRuns: 60 },
  );
});

/** The same content has the same key, and another content another. */
function same(seen: Map<string, string>, content: string, key: string): void {
  const known = seen.get(content);
  if (known !== undefined) expect(key).toBe(known);
  else expect([...seen.values()]).not.toContain(key);
  seen.set(content, key);
}

const parts = fc.uniqueArray(fc.record({ part: fc.stringMatching(/^[a-z.":\n]{1,6}$/), value: fc.jsonValue() }), { selector: ({ part }) => part, maxLength: 5 });

test('two manifests have the same key exactly when they hold the same parts', () => {
  const manifest = (list: readonly { readonly part: string; readonly value: unknown }[]): ManifestPart[] =>
    finishManifest(list.map(({ part, value }) => ({ part, value: value as Json })), []) as ManifestPart[];
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const [one, two] = [manifest(a), manifest(b)];
      expect(keyOf('action', one) === keyOf('action', two)).toBe(canonicalJson(one as unknown as Json) === canonicalJson(two as unknown as Json));
      expect(keyOf('action', manifest([...a].reverse()))).toBe(keyOf('action', one));
      expect(keyOf('plan', one)).not.toBe(keyOf('action', one));
    }),
    { numRuns: 300 },
  );
});

test('long values go by their digest, and nothing else can be mistaken for it', () => {
  const long = 'x'.repeat(300);
  const keys = [long, `${long}x`, `#${long}`, [long], { long }].map(value => keyOf('action', [{ part: 'p', value }]));
  expect(new Set(keys).size).toBe(keys.length);
});

test('ignored parts are kept and shown, and are in no key; a nested one is taken out of its part', () => {
  const with1 = (log: number, rate: number): ManifestPart[] => [{ part: 'with.train', value: { rate, log: { every: log, file: 'x' } } }, { part: 'with.note', value: log }];
  const ignore = ['with.note', 'with.train.log.every'];
  const key = (log: number, rate: number): string => keyOf('action', finishManifest(with1(log, rate), ignore));
  expect(key(1, 1)).toBe(key(2, 1));
  expect(key(1, 1)).not.toBe(key(1, 2));
  expect(finishManifest(with1(1, 2), ignore)).toEqual([
    { part: 'with.note', value: 1, ignored: true },
    { part: 'with.train', value: { rate: 2, log: { file: 'x' } } },
    { part: 'with.train.log.every', value: 1, ignored: true },
  ]);
});
