import { closeSync, existsSync, openSync, readdirSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { PipeError } from '../../../src/runner/diagnostic.ts';
import { migrate, openDatabase } from '../../../src/runner/store/database.ts';
import { migrations } from '../../../src/runner/store/migrations.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import { temporaryFolder } from './temp-folder.ts';

const schemaOf = (database: Database.Database): unknown => database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all();

test('from every earlier version the newest schema is reached', () => {
  const fresh = new Database(':memory:');
  migrate(fresh, 'fresh');
  for (let version = 0; version < migrations.length; version++) {
    const old = new Database(':memory:');
    migrate(old, 'old', migrations.slice(0, version));
    expect(old.pragma('user_version', { simple: true })).toBe(version);
    migrate(old, 'old');
    expect(schemaOf(old)).toEqual(schemaOf(fresh));
    expect(old.pragma('user_version', { simple: true })).toBe(migrations.length);
  }
});

test('a step that fails leaves the version before it', () => {
  const database = new Database(':memory:');
  expect(() => migrate(database, 'x', ['CREATE TABLE a (b)', 'CREATE TABLE c (d); CREATE TABLE nonsense (('])).toThrow();
  expect(database.pragma('user_version', { simple: true })).toBe(0);
  expect(schemaOf(database)).toEqual([]);
});

test('a database of a newer program is left alone', () => {
  const path = join(temporaryFolder(), 'pipe.db');
  const newer = new Database(path);
  newer.pragma('user_version = 99');
  newer.close();
  const before = readFileSync(path);
  const failure = caught(() => openDatabase(path, 'write'));
  expect(failure).toMatchObject({ exitCode: 3, code: 'database-newer' });
  expect(failure.hint).toContain('update the program');
  expect(readFileSync(path).equals(before)).toBe(true);
});

const damages: Readonly<Record<string, (path: string) => void>> = {
  'no database at all': path => writeFileSync(path, 'this is not a database, but it is long enough to look like a file'),
  'cut in its header': path => truncateSync(path, 7),
  'cut in the middle': path => truncateSync(path, 8192),
  'overwritten in the middle': path => {
    const file = openSync(path, 'r+');
    for (let page = 0; page < 8; page++) writeSync(file, Buffer.alloc(4000, 0x5a), 0, 4000, 110 + page * 4096);
    closeSync(file);
  },
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a file that is ${what} is moved aside with a notice, and a new database begun`, () => {
    const cache = temporaryFolder();
    const path = join(cache, 'pipe.db');
    const first = openStore({ cache, mode: 'write' });
    first.results.beginRun({ pipeline: 'p', file: '', root: '', profile: null, overrides: [], params: {}, command: [], host: '', pid: 1, version: '', startedAt: 1 });
    first.database.pragma('wal_checkpoint(TRUNCATE)');
    first.close();
    damage(path);
    expect(caught(() => openStore({ cache, mode: 'read' })).code).toBe('database-damaged');
    const again = openStore({ cache, mode: 'write' });
    expect(again.notices).toHaveLength(1);
    expect(again.notices[0]).toContain('pipe.db.damaged-');
    expect(again.database.prepare('SELECT count(*) FROM run').pluck().get()).toBe(0);
    again.close();
    expect(readdirSync(cache).filter(name => name.includes('.damaged-')).length).toBeGreaterThan(0);
    const third = openStore({ cache, mode: 'write' });
    expect(third.notices).toEqual([]);
    third.close();
  });
}

test('reading makes no file, and reads beside a writer', () => {
  const cache = temporaryFolder();
  const empty = openStore({ cache, mode: 'read' });
  expect(empty.database.prepare('SELECT count(*) FROM run').pluck().get()).toBe(0);
  empty.close();
  expect(existsSync(join(cache, 'pipe.db'))).toBe(false);
  const writer = openStore({ cache, mode: 'write' });
  const reader = openStore({ cache, mode: 'read' });
  writer.database.exec('BEGIN IMMEDIATE');
  expect(reader.database.prepare('SELECT count(*) FROM run').pluck().get()).toBe(0);
  writer.database.exec('COMMIT');
  reader.close();
  writer.close();
});

test('an empty file is a new database', () => {
  const path = join(temporaryFolder(), 'pipe.db');
  writeFileSync(path, '');
  const { database, notices } = openDatabase(path, 'write');
  expect(notices).toEqual([]);
  database.close();
});

test('a cache that cannot be made says which folder and why', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  expect(() => openStore({ cache: join(folder, 'file', 'cache'), mode: 'write' })).toThrow(/file/);
});

function caught(act: () => unknown): PipeError {
  try {
    act();
  } catch (error) {
    if (error instanceof PipeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
