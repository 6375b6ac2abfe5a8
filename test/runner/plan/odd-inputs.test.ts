/** Inputs that are not plain files in plain folders: what each of them is, or the error that names it. */
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { readPathInput } from '../../../src/runner/plan/path-inputs.ts';
import { migrate } from '../../../src/runner/store/database.ts';
import { StatCache } from '../../../src/runner/store/stat-cache.ts';
import { TreeNodes } from '../../../src/runner/store/tree-nodes.ts';
import { temporaryFolder } from '../store/temp-folder.ts';

interface Inputs {
  readonly at: (...parts: readonly string[]) => string;
  read(path: string): unknown;
}

function inputs(): Inputs {
  const root = temporaryFolder();
  const at = (...parts: readonly string[]): string => join(root, ...parts);
  mkdirSync(at('data', 'sub'), { recursive: true });
  writeFileSync(at('data', 'a'), 'a');
  writeFileSync(at('data', 'sub', 'b'), 'b');
  const database = new Database(':memory:');
  migrate(database, 'test');
  return {
    at,
    // Each is another process a minute later.
    read: path => {
      const stats = new StatCache(database, { writable: true, clock: () => Date.now() + 60_000 });
      const { value } = readPathInput({ kind: 'path', path, glob: /[*?[{]/.test(path) }, root, stats, new TreeNodes());
      stats.flush();
      return value;
    },
  };
}

const oddName = (folder: string, name: readonly number[]): Buffer => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]);

test('an input that is itself a link is what the link leads to, under the name of the link', () => {
  const { at, read } = inputs();
  const folder = read('data');
  const file = read('data/a');
  renameSync(at('data'), at('real'));
  symlinkSync('real', at('data'));
  expect(read('data')).toEqual(folder);
  renameSync(at('real', 'a'), at('elsewhere'));
  symlinkSync('../elsewhere', at('real', 'a'));
  expect(read('data/a')).toEqual(file);
  expect(() => read('data')).toThrow(`${at('real')}/a leads out of ${at('real')}, to ../elsewhere`);
});

test('a link inside a folder counts by its text, also one that leads nowhere or round in a ring', () => {
  const { at, read } = inputs();
  const seen = new Set([JSON.stringify(read('data'))]);
  for (const [name, target] of [['in', 'a'], ['in', './a'], ['nowhere', 'nothing'], ['ring', 'ring2'], ['ring2', 'ring'], ['self', '.'], ['top', 'sub/..']] as const) {
    rmSync(at('data', name), { force: true });
    symlinkSync(target, at('data', name));
    const value = JSON.stringify(read('data'));
    expect(seen.has(value), `${name} → ${target}`).toBe(false);
    expect(JSON.stringify(read('data'))).toBe(value);
    seen.add(value);
  }
  const before = JSON.stringify(read('data'));
  writeFileSync(at('data', 'nothing'), ''); // now the link leads somewhere, and its text is what it was
  rmSync(at('data', 'nothing'));
  expect(JSON.stringify(read('data'))).toBe(before);
});

test.each([['data/l1'], ['data/*'], ['data/**']])('a link that has to be followed and leads nowhere or round is an error that names it: %s', path => {
  const { at, read } = inputs();
  symlinkSync('nothing', at('data', 'l1'));
  expect(() => read(path)).toThrow(`the symbolic link ${path.includes('*') ? at('data', 'l1') : at(path)} leads nowhere`);
  rmSync(at('data', 'l1'));
  symlinkSync('l2', at('data', 'l1'));
  symlinkSync('l1', at('data', 'l2'));
  expect(() => read(path)).toThrow(`the symbolic link ${at('data', 'l1')} leads nowhere`);
});

test('a glob follows links to files, and `**` not into linked folders', () => {
  const { at, read } = inputs();
  symlinkSync('../a', at('data', 'sub', 'linked'));
  symlinkSync('sub', at('data', 'again'));
  expect(read('data/**')).toMatchObject({ type: 'glob', files: 3 });
  expect(read('data/*/b')).toMatchObject({ files: 2 });
});

test('names that are not UTF-8 are kept in folders, and refused where a glob would hand them to a command', () => {
  const { at, read } = inputs();
  writeFileSync(oddName(at('data'), [0xff]), 'x');
  const first = read('data');
  expect(first).not.toEqual(inputs().read('data'));
  writeFileSync(oddName(at('data'), [0xff]), 'y');
  expect(read('data')).not.toEqual(first);
  expect(() => read('data/*')).toThrow(`${at('data')}/\\xff has a name that is not UTF-8`);
  expect(read('data/a*')).toMatchObject({ files: 1 });
  rmSync(oddName(at('data'), [0xff]));
  mkdirSync(oddName(at('data'), [0x64, 0xfe]));
  writeFileSync(oddName(at('data'), [0x64, 0xfe, 0x2f, 0x63]), 'c');
  expect(() => read('data/**')).toThrow(`${at('data')}/d\\xfe has a name that is not UTF-8`);
  // The character that odd bytes are read as may also be meant.
  rmSync(oddName(at('data'), [0x64, 0xfe]), { recursive: true });
  writeFileSync(at('data', '\ufffd'), '');
  expect(read('data/**')).toMatchObject({ files: 3 });
});

// Root may read everything.
test.skipIf(process.getuid?.() === 0)('what cannot be read is an error that names it', () => {
  const { at, read } = inputs();
  chmodSync(at('data', 'a'), 0o000);
  expect(() => read('data')).toThrow(`${at('data', 'a')} cannot be read: permission denied`);
  expect(() => read('data/*')).toThrow(`${at('data', 'a')} cannot be read: permission denied`);
  chmodSync(at('data', 'a'), 0o644);
  chmodSync(at('data', 'sub'), 0o000);
  expect(() => read('data')).toThrow(`${at('data', 'sub')} cannot be read: permission denied`);
  chmodSync(at('data', 'sub'), 0o755);
});
