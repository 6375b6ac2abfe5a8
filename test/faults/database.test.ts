import { copyFileSync, existsSync, openSync, closeSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { onTestFinished, expect, test } from 'vitest';
import { migrate } from '../../src/runner/store/database.ts';
import { migrations } from '../../src/runner/store/migrations.ts';
import { openStore } from '../../src/runner/store/store.ts';
import { Gate } from '../rig/gate.ts';
import type { TestProject } from '../rig/pipe.ts';
import { CleanBuild, lifeCells, lifePipeline, makeLife, troubles, visible } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const clean = new CleanBuild();

function life(word: string): TestProject {
  const project = makeLife(word);
  onTestFinished(() => project.remove());
  return project;
}

function held(word: string): { readonly project: TestProject; readonly gate: Gate } {
  const project = life(word);
  const gate = new Gate(project.folder, 'g');
  project.write('pipe.yaml', lifePipeline(`[ -e ${project.path('go')} ] || { ${gate.wait}; }`));
  return { project, gate };
}

function expectWell(project: TestProject, word: string, how: string): string {
  const next = project.pipe(['run']);
  expect(next.code, `${how}\n${next.stderr}`).toBe(0);
  expect(visible(project), how).toEqual(clean.of(word));
  expect(troubles(project), how).toEqual([]);
  expect(project.pipe(['run']).stderr, how).toMatch(/nothing to run/);
  return next.stderr;
}

/** Writes these bytes over what is there. */
function overwrite(path: string, at: number, bytes: Buffer): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, at);
  closeSync(descriptor);
}

const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 193 + 71) % 251));

const harms: Readonly<Record<string, (path: string) => void>> = {
  'deleted': path => rmSync(path),
  'cut to nothing': path => truncateSync(path, 0),
  'cut within its header': path => truncateSync(path, 50),
  'cut after its first page': path => truncateSync(path, 4096),
  'cut in half': path => truncateSync(path, Math.floor(statSync(path).size / 2)),
  'overwritten with text': path => writeFileSync(path, 'this is no database\n'.repeat(1000)),
  'damaged in its header': path => overwrite(path, 0, noise(100)),
  'damaged in its first page': path => overwrite(path, 100, noise(3900)),
  'damaged in all pages but the first': path => overwrite(path, 4096, noise(statSync(path).size - 4096)),
  'damaged in every second page': path => {
    for (let at = 8192; at < statSync(path).size; at += 8192) overwrite(path, at, noise(4096));
  },
};

test.each(Object.keys(harms))('the database %s between two runs: set aside, and everything is made again', how => {
  const project = life('first');
  expect(project.pipe(['run']).code).toBe(0);
  for (const name of readdirSync(project.path('cache'))) if (name.startsWith('pipe.db-')) rmSync(project.path('cache', name));
  harms[how]!(project.path('cache/pipe.db'));
  project.write('word.txt', 'second\n');
  const looked = project.pipe(['status']);
  expect([0, 3], looked.stderr).toContain(looked.code);
  expect(looked.stderr).not.toContain('this is a bug');
  const said = expectWell(project, 'second', how);
  const aside = readdirSync(project.path('cache')).filter(name => name.startsWith('pipe.db.damaged-'));
  if (aside.length > 0) expect(said).toContain('the results database was damaged and is now');
  tell(`the database ${how}, between two runs`, 'the next run set it aside where there was something, and made all again');
});

test('the database deleted in the middle of a run: said, and the next run makes everything again', async () => {
  const { project, gate } = held('first');
  const run = project.start(['run']);
  const open = await gate.reached();
  for (const suffix of ['', '-wal', '-shm']) rmSync(project.path(`cache/pipe.db${suffix}`));
  project.write('go', '');
  await open();
  const { code, stderr } = await run.finished;
  expect([0, 1, 3], stderr).toContain(code);
  expect(stderr).toContain('the results database was deleted or replaced');
  expectWell(project, 'first', 'deleted in the middle');
  tell('the database deleted in the middle of a run', 'said so; the next run made all again');
});

test('what is not yet in the database file itself, damaged after a kill: the next run finishes', async () => {
  const cuts = [0, 16, 32, 1000, 5000, 20_000, 60_000];
  for (const [round, cut] of cuts.entries()) {
    const { project, gate } = held('first');
    const run = project.start(['run']);
    await gate.arrived();
    run.kill('SIGKILL');
    await run.finished;
    const wal = project.path('cache/pipe.db-wal');
    expect(existsSync(wal)).toBe(true);
    if (round % 2 === 0) truncateSync(wal, Math.min(cut, statSync(wal).size));
    else overwrite(wal, Math.min(cut, statSync(wal).size), noise(64));
    project.write('go', '');
    expectWell(project, 'first', `wal ${cut}`);
  }
  tell('the write-ahead log cut or damaged after a kill', 'the next run finished', cuts.length);
});

test('the database locked by a reader for the whole of a run: nobody waits for it', () => {
  const project = life('first');
  expect(project.pipe(['run']).code).toBe(0);
  const reader = new Sqlite(project.path('cache/pipe.db'));
  reader.exec('BEGIN');
  expect(reader.prepare('SELECT count(*) AS n FROM attempt').get()).toEqual({ n: lifeCells });
  project.write('word.txt', 'second\n');
  const { code, stderr } = project.pipe(['run']);
  expect(code, stderr).toBe(0);
  // It still sees what it saw.
  expect(reader.prepare('SELECT count(*) AS n FROM attempt').get()).toEqual({ n: lifeCells });
  reader.exec('COMMIT');
  reader.close();
  expectWell(project, 'second', 'reader');
  tell('the database held by a reader for the whole of a run', 'the run did not wait, and the reader saw what it had seen');
});

test('the database locked by a writer for longer than SQLite waits, in the middle of a run: it waits, says so, and keeps what was made', async () => {
  const { project, gate } = held('first');
  const run = project.start(['run', '-j', '2']);
  let said = '';
  run.stderr!.on('data', (text: string) => void (said += text));
  const open = await gate.reached();
  const other = new Sqlite(project.path('cache/pipe.db'));
  other.exec('BEGIN IMMEDIATE');
  project.write('go', '');
  await open();
  while (!said.includes('locked: waiting for it') && run.exitCode === null) await new Promise(resolve => setTimeout(resolve, 200));
  // A look at it meanwhile, which is possible.
  expect(project.pipe(['status']).code).toBe(0);
  other.exec('COMMIT');
  other.close();
  const { code, stderr } = await run.finished;
  expect(code, stderr).toBe(0);
  expect(visible(project)).toEqual(clean.of('first'));
  expect(troubles(project)).toEqual([]);
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  expect(store.database.prepare('SELECT status, count(*) AS n FROM attempt GROUP BY status').all()).toEqual([{ status: 'ran', n: lifeCells }]);
  store.close();
  expectWell(project, 'first', 'writer');
  tell('the database locked by another writer for more than 30 s in the middle of a run', 'waited and said so; each cell ran once, no lease left');
});

test('the database locked by a writer from before a run, and a run killed while it waits: refused or gone, and well again afterwards', async () => {
  const { project, gate } = held('first');
  const run = project.start(['run']);
  const open = await gate.reached();
  const other = new Sqlite(project.path('cache/pipe.db'));
  other.exec('BEGIN IMMEDIATE');
  const refused = project.start(['run']);
  project.write('go', '');
  await open();
  const { code, stderr } = await refused.finished;
  expect(code, stderr).toBe(3);
  expect(stderr).toMatch(/locked/);
  expect(stderr).not.toContain('this is a bug');
  run.kill('SIGKILL');
  await run.finished;
  other.exec('COMMIT');
  other.close();
  expectWell(project, 'first', 'refused');
  tell('the database locked by another writer for more than 30 s before a run', 'exit code 3 and said so; the next run finished');
  tell('a run killed while it waits for the lock', 'the next run finished, no lease left');
});

test('a database of each earlier version: brought up to date, and what it knows is kept', () => {
  for (let version = 0; version < migrations.length; version++) {
    const project = life('first');
    project.pipe(['status']);
    rmSync(project.path('cache'), { recursive: true, force: true });
    project.write('cache/.keep', '');
    const database = new Sqlite(project.path('cache/pipe.db'));
    migrate(database, 'old', migrations.slice(0, version));
    database.close();
    const { code, stderr } = project.pipe(['run']);
    expect(code, `${version}\n${stderr}`).toBe(0);
    expectWell(project, 'first', `version ${version}`);
  }
  tell('a database of an earlier version', 'brought up to date; the run finished', migrations.length);
});

test('a database of a newer version is left as it is', () => {
  const project = life('first');
  expect(project.pipe(['run']).code).toBe(0);
  const path = project.path('cache/pipe.db');
  const newer = new Sqlite(path);
  newer.pragma('wal_checkpoint(TRUNCATE)');
  newer.pragma(`user_version = ${migrations.length + 1}`);
  newer.pragma('wal_checkpoint(TRUNCATE)');
  newer.close();
  copyFileSync(path, project.path('before.db'));
  for (const words of [['run'], ['status'], ['history'], ['cache', 'gc']]) {
    const { code, stderr } = project.pipe(words);
    expect([code, stderr]).toEqual([3, expect.stringMatching(/written by a newer version[\s\S]*hint: update the program/)]);
  }
  expect(readFileSync(path).equals(readFileSync(project.path('before.db')))).toBe(true);
  const back = new Sqlite(path);
  back.pragma(`user_version = ${migrations.length}`);
  back.close();
  expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
  tell('a database of a newer version', 'exit code 3 and a hint; not a byte of it changed');
});
