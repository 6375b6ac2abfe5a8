import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import type { BigIntStats, Stats } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/runner/store/database.ts';
import { StatCache } from '../../../src/runner/store/stat-cache.ts';
import { StatRow, StatRowBuilder } from '../../../src/runner/store/stat-row.ts';
import type { StatCacheOptions } from '../../../src/runner/store/stat-cache.ts';
import { TreeNodes } from '../../../src/runner/store/tree-nodes.ts';
import { temporaryFolder } from './temp-folder.ts';

interface Rig {
  readonly folder: string;
  /** A cache as another process would open it; the clock runs `ahead` milliseconds before the real one. */
  open(ahead: number, options?: Partial<StatCacheOptions>): StatCache;
  rows(): number;
}

function rig(): Rig {
  const folder = temporaryFolder();
  const { database } = openDatabase(join(folder, 'pipe.db'), 'write');
  onTestFinished(() => void database.close());
  const data = join(folder, 'data');
  mkdirSync(join(data, 'sub'), { recursive: true });
  for (const name of ['a', 'b', 'sub/c']) writeFileSync(join(data, name), name);
  return { folder: data, open: (ahead, options) => cacheAt(database, ahead, options), rows: () => Number(database.prepare('SELECT count(*) FROM file_stat').pluck().get()) };
}

function cacheAt(database: Database, ahead: number, options: Partial<StatCacheOptions> = {}): StatCache {
  return new StatCache(database, { writable: true, clock: () => Date.now() + ahead, ...options });
}

function folderOf({ folder }: Rig, cache: StatCache): { readonly digest: string; readonly hashed: number } {
  const before = cache.hashed;
  const digest = cache.folder(folder).digest.toString('hex');
  return { digest, hashed: cache.hashed - before };
}

test('files changed within two seconds before the check are read again, older ones are not', () => {
  const setup = rig();
  const soon = setup.open(1900);
  expect(folderOf(setup, soon).hashed).toBe(3);
  soon.flush();
  const racy = setup.open(5000);
  expect(folderOf(setup, racy).hashed).toBe(3);
  racy.flush();
  const later = setup.open(5000);
  expect(folderOf(setup, later).hashed).toBe(0);
});

test('an edit of the same size at the same time stamps is found when the check was racy', () => {
  const setup = rig();
  const first = setup.open(0);
  const before = folderOf(setup, first).digest;
  first.flush();
  writeFileSync(join(setup.folder, 'a'), 'A');
  // Time stamps cannot be set back in ctime: but the racy rule never looks at a row this young.
  const second = setup.open(0);
  expect(folderOf(setup, second).digest).not.toBe(before);
});

test('content, size, time and inode of a file are noticed, and only that file is read again', () => {
  const setup = rig();
  const changes: [string, () => void][] = [
    ['content', () => writeFileSync(join(setup.folder, 'a'), 'x')],
    ['append', () => appendFileSync(join(setup.folder, 'sub', 'c'), 'more')],
    ['replacement', () => { writeFileSync(join(setup.folder, 'new'), 'b'); renameSync(join(setup.folder, 'new'), join(setup.folder, 'b')); }],
    ['touch', () => utimesSync(join(setup.folder, 'b'), 1, 1)],
    ['mtime set back after an edit', () => { const { atime, mtime } = statSync(join(setup.folder, 'a')); writeFileSync(join(setup.folder, 'a'), 'y'); utimesSync(join(setup.folder, 'a'), atime, mtime); }],
  ];
  let ahead = 10_000;
  const settle = setup.open(ahead);
  folderOf(setup, settle);
  settle.flush();
  for (const [what, change] of changes) {
    change();
    ahead += 10_000;
    const cache = setup.open(ahead);
    expect(folderOf(setup, cache).hashed, what).toBe(1);
    cache.flush();
    const fresh = setup.open(ahead);
    expect(folderOf(setup, fresh).hashed, `${what}, then nothing`).toBe(0);
  }
});

test('a touched file is read, and the digest stays', () => {
  const setup = rig();
  const first = setup.open(10_000);
  const { digest } = folderOf(setup, first);
  first.flush();
  utimesSync(join(setup.folder, 'a'), 5, 5);
  expect(folderOf(setup, setup.open(10_000))).toEqual({ digest, hashed: 1 });
});

test('nothing is written when nothing was learned; one row a folder otherwise', () => {
  const setup = rig();
  const first = setup.open(10_000);
  folderOf(setup, first);
  first.flush();
  expect(setup.rows()).toBe(2);
  rmSync(join(setup.folder, 'b'));
  const second = setup.open(10_000);
  expect(folderOf(setup, second).hashed).toBe(0);
  second.flush();
  writeFileSync(join(setup.folder, 'b'), 'b');
  expect(folderOf(setup, setup.open(20_000)).hashed).toBe(1);
});

test('files asked for one by one share the row of their folder', () => {
  const setup = rig();
  const first = setup.open(10_000);
  first.file(join(setup.folder, 'b'));
  first.file(join(setup.folder, 'a'));
  first.flush();
  expect(setup.rows()).toBe(1);
  const second = setup.open(10_000);
  for (const name of ['a', 'b']) expect(second.file(join(setup.folder, name))?.size).toBe(1);
  expect(second.hashed).toBe(0);
  expect(folderOf(setup, second).hashed).toBe(1);
  expect(second.file(join(setup.folder, 'none'))).toBeNull();
  expect(second.file(setup.folder)).toBeNull();
  expect(second.file(join(setup.folder, 'a', 'below'))).toBeNull();
});

test('the executable bit is part of a file, and a link to a file or folder is followed when it is named itself', () => {
  const setup = rig();
  const cache = setup.open(10_000);
  chmodSync(join(setup.folder, 'a'), 0o755);
  expect(cache.file(join(setup.folder, 'a'))?.type).toBe('x');
  expect(cache.file(join(setup.folder, 'b'))?.type).toBe('f');
  symlinkSync(setup.folder, `${setup.folder}-link`);
  expect(cache.folder(`${setup.folder}-link`).digest).toEqual(cache.folder(setup.folder).digest);
  expect(cache.typeOf(`${setup.folder}-link`)).toBe('d');
  symlinkSync('nothing', `${setup.folder}-dangling`);
  expect(() => cache.file(`${setup.folder}-dangling`)).toThrow('-dangling leads nowhere');
});

test('a row survives packing, odd names included, and a damaged one is refused', () => {
  const builder = new StatRowBuilder(1);
  const stat = statSync('/', { bigint: true });
  const names = ['', 'a', 'é\xff', 'z'];
  for (const [index, name] of names.entries()) builder.add(name, stat, BigInt(index), Buffer.alloc(32, index));
  const packed = builder.finish().pack();
  const row = StatRow.unpack(packed);
  expect(row?.names).toEqual(names);
  expect(row?.digest(2)).toEqual(Buffer.alloc(32, 2));
  expect(row?.matches(3, stat)).toBe(true);
  expect(StatRow.unpack(packed.subarray(0, packed.length - 1))).toBeNull();
  expect(StatRow.unpack(Buffer.alloc(3))).toBeNull();
  expect(StatRow.unpack(new StatRowBuilder(0).finish().pack())?.names).toEqual([]);
});

test.each([
  ['a file of today', { size: 7n, mtimeNs: 1_790_000_000_123_456_789n, ctimeNs: 1_790_000_000_987_654_321n, ino: 42n }],
  ['one from before 1970, on a file system with long inode numbers', { size: 0n, mtimeNs: -1_234_567_891n, ctimeNs: 5n, ino: 18_446_744_073_709_551_557n }],
  ['a large one', { size: 5_000_000_000_123n, mtimeNs: 4_102_444_800_000_000_001n, ctimeNs: 4_102_444_800_999_999_999n, ino: 4_294_967_296n }],
])('stats in doubles tell what exact ones tell: %s', (_what, exact) => {
  const rough = (stat: typeof exact): Stats => {
    const ms = (ns: bigint): number => Number(ns / 1_000_000_000n) * 1000 + Number(ns % 1_000_000_000n) / 1e6; // as Node makes them
    return { size: Number(stat.size), mtimeMs: ms(stat.mtimeNs), ctimeMs: ms(stat.ctimeNs), ino: Number(stat.ino) } as Stats;
  };
  const newest = exact.mtimeNs > exact.ctimeNs ? exact.mtimeNs : exact.ctimeNs;
  const builder = new StatRowBuilder(1);
  builder.add('', exact as BigIntStats, newest + 2_000_002_000n, Buffer.alloc(32));
  builder.add('racy', exact as BigIntStats, newest + 1_999_998_000n, Buffer.alloc(32));
  const row = StatRow.unpack(builder.finish().pack())!;
  expect(row.trustsRough(0, rough(exact))).toBe(true);
  expect(row.trustsRough(1, rough(exact))).toBe(false);
  expect(row.matchesRough(1, rough(exact))).toBe(true);
  for (const other of [
    { ...exact, size: exact.size + 1n }, { ...exact, mtimeNs: exact.mtimeNs + 2000n }, { ...exact, mtimeNs: exact.mtimeNs - 2000n },
    { ...exact, ctimeNs: exact.ctimeNs + 2000n }, { ...exact, ino: exact.ino + 4096n },
  ]) {
    expect(row.matchesRough(0, rough(other))).toBe(false);
  }
});

test('a folder that is as it was is neither listed nor hashed, and its nodes can still be had', () => {
  const setup = rig();
  const first = setup.open(10_000);
  const before = new TreeNodes();
  const whole = first.folder(setup.folder, before);
  first.flush();
  const cache = setup.open(10_000);
  const nodes = new TreeNodes();
  expect(cache.folder(setup.folder, nodes)).toEqual(whole);
  const all = [...nodes.unknown(() => false)].sort();
  expect(all).toEqual([...before.unknown(() => false)].sort());
  expect(all).toHaveLength(2);
  // Who has the root's node has the others.
  const again = new TreeNodes();
  cache.folder(setup.folder, again);
  expect([...again.unknown(() => true)]).toEqual([]);
  expect(again.get(whole.digest.toString('hex'))).toEqual(before.get(whole.digest.toString('hex')));
});

test('names that come, go or change their kind in a folder that was known as a whole are noticed', () => {
  const setup = rig();
  const at = (...parts: string[]): string => join(setup.folder, ...parts);
  const changes: [string, () => void][] = [
    ['a new file', () => writeFileSync(at('sub', 'new'), '')],
    ['a file that went', () => rmSync(at('sub', 'new'))],
    ['an empty folder', () => mkdirSync(at('sub', 'deep'))],
    ['a file in it', () => writeFileSync(at('sub', 'deep', 'd'), 'd')],
    ['a folder that went', () => rmSync(at('sub', 'deep'), { recursive: true })],
    ['a renamed file', () => renameSync(at('b'), at('c'))],
    ['two names exchanged', () => { renameSync(at('a'), at('x')); renameSync(at('c'), at('a')); renameSync(at('x'), at('c')); }],
    ['a file made executable', () => chmodSync(at('sub', 'c'), 0o755)],
    ['a file that became a folder', () => { rmSync(at('a')); mkdirSync(at('a')); }],
    ['a folder that became a link', () => { rmSync(at('a'), { recursive: true }); symlinkSync('c', at('a')); }],
    ['a link with another text', () => { rmSync(at('a')); symlinkSync('./c', at('a')); }],
    ['a link that went', () => rmSync(at('a'))],
    ['a folder that was replaced by another', () => { renameSync(at('sub'), at('was')); mkdirSync(at('sub')); }],
  ];
  let ahead = 10_000;
  const seen = new Set([folderOf(setup, setup.open(0)).digest]);
  for (const [what, change] of changes) {
    const learn = setup.open(ahead);
    folderOf(setup, learn);
    learn.flush();
    change();
    const { digest } = folderOf(setup, setup.open(ahead += 10_000));
    expect(digest, what).toBe(new StatCache(openDatabase(join(temporaryFolder(), 'pipe.db'), 'write').database, { writable: false }).folder(setup.folder).digest.toString('hex'));
    if (!what.startsWith('a file that went') && !what.startsWith('a folder that went')) expect(seen.has(digest), what).toBe(false);
    seen.add(digest);
  }
});

test('a file that is hashed by itself takes the folder as a whole out of what is known', () => {
  const setup = rig();
  const first = setup.open(10_000);
  const before = folderOf(setup, first).digest;
  first.flush();
  writeFileSync(join(setup.folder, 'a'), 'x');
  const single = setup.open(20_000);
  single.file(join(setup.folder, 'a'));
  single.flush();
  expect(folderOf(setup, setup.open(20_000)).digest).not.toBe(before);
});
