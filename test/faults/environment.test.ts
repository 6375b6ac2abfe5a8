import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished, expect, test } from 'vitest';
import { openStore } from '../../src/runner/store/store.ts';
import { Gate } from '../rig/gate.ts';

import type { Finished, TestProject } from '../rig/pipe.ts';
import { mountSmall, remount } from '../rig/small-disk.ts';
import { CleanBuild, makeLife, troubles, visible } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const program = fileURLToPath(new URL('../../dist/pipe.js', import.meta.url));
const clean = new CleanBuild();

function life(word: string, hold?: string): TestProject {
  const project = makeLife(word, hold);
  onTestFinished(() => project.remove());
  return project;
}

/** Runs `pipe` by way of another program: `prefix` ends where the program's own path follows. */
function runThrough(project: TestProject, prefix: readonly string[], args: readonly string[]): Finished {
  const [command, ...rest] = [...prefix, process.execPath, program, ...args];
  const { stdout, stderr, status } = spawnSync(command!, rest, {
    cwd: project.folder, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: project.folder, TMPDIR: process.env['TMPDIR'] ?? '/tmp' },
  });
  return { stdout, stderr, code: status };
}

function expectWell(project: TestProject, word: string, how: string, kept = /^$/): void {
  const next = project.pipe(['run']);
  expect(next.code, `${how}\n${next.stderr}`).toBe(0);
  expect(visible(project), how).toEqual(clean.of(word));
  expect(troubles(project).filter(trouble => !kept.test(trouble)), how).toEqual([]);
  expect(project.pipe(['run']).stderr, how).toMatch(/nothing to run/);
}

test('a disk that is full at one point or another: the run says so, keeps what was good, and with room the next one finishes', context => {
  const sizes = [40, 120, 240, 400, 520, 600, 680, 720, 760, 800, 840, 880, 960, 1120, 1280, 2560];
  const codes = new Map<number | null, number>();
  for (const [round, size] of sizes.entries()) {
    const project = life('first');
    if (!mountSmall(project.path('cache'), `${size}k`)) return context.skip('this user cannot mount a small file system');
    const { code, stderr } = project.pipe(['run', '--keep-going', '-j', String(1 + (round % 2))]);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    expect([0, 1, 3], stderr).toContain(code);
    if (code !== 0) expect(stderr, `${size}k`).toMatch(/no space|disk is full|ENOSPC|disk I\/O|database or disk is full|a full or failing disk/i);
    expect(stderr).not.toContain('this is a bug');
    remount(project.path('cache'), 'size=60m');
    expectWell(project, 'first', `${size}k`);
  }
  expect(codes.size).toBeGreaterThan(1);
  tell('disk full at different moments (tmpfs of 40 KB to 2.5 MB)', 'said so where it was met; with room the next run finished', sizes.length);
});

test('a cache on a read-only file system: running is refused, looking works, and nothing is lost', context => {
  const project = life('first');
  if (!mountSmall(project.path('cache'), '60m')) return context.skip('this user cannot mount a small file system');
  expect(project.pipe(['run']).code).toBe(0);
  remount(project.path('cache'), 'ro');
  project.write('word.txt', 'second\n');
  const run = project.pipe(['run']);
  expect(run).toMatchObject({ code: 3, stderr: expect.stringMatching(/cannot be opened for writing[\s\S]*hint: /) });
  for (const words of [['status'], ['show', 'join'], ['history'], ['why', 'join'], ['table'], ['logs', 'split'], ['sql', 'SELECT count(*) FROM attempt'], ['cache', 'size']]) {
    const { code, stderr } = project.pipe(words);
    expect(code, `${words.join(' ')}\n${stderr}`).toBe(0);
  }
  expect(project.pipe(['get', 'join.all', 'copy.txt']).code).toBe(0);
  expect(visible(project)).toEqual(clean.of('first'));
  remount(project.path('cache'), 'rw');
  expectWell(project, 'second', 'read-only');
  tell('a read-only cache', '`run` ended with 3 and a hint; status, why, show, table, logs, history, sql, get went on; the next run finished');
});

test('too many open files, from the start or from the middle of a run: it ends, says so, and the next run finishes', async () => {
  // From the start: Node itself needs some twenty.
  const limits = [26, 30, 34, 38, 42, 46, 50, 54, 58, 62];
  const project = life('first');
  for (const limit of limits) {
    const { code, stderr } = runThrough(project, ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh'], ['run']);
    if (code !== 0) expect(stderr, `limit ${limit}`).toMatch(/too many|EMFILE/i);
    expect(stderr, `limit ${limit}`).not.toContain('this is a bug');
  }
  expectWell(project, 'first', 'limits');
  tell('EMFILE: `ulimit -n` of 26 to 62 for the whole run', 'said so, and ended; the next run finished', limits.length);

  const rooms = [0, 1, 2, 3, 4, 6, 8];
  for (const room of rooms) {
    const { project: halted, gate } = held('first');
    const run = halted.start(['run', '-j', '1']);
    const open = await gate.reached();
    const fds = readdirSync(`/proc/${run.pid}/fd`).map(Number);
    execFileSync('prlimit', ['--pid', String(run.pid), `--nofile=${Math.max(...fds) + 1 + room}`]);
    halted.write('go', '');
    await open();
    const { code, stderr } = await run.finished;
    expect([0, 1, 3], stderr).toContain(code);
    if (code !== 0) expect(stderr, `room ${room}`).toMatch(/too many|EMFILE|unable to open/i);
    expectWell(halted, 'first', `room ${room}`);
  }
  tell('EMFILE: no more files from the middle of a run on', 'said so, and ended; the next run finished', rooms.length);
});

/** Its checkpointed stage waits at the gate, unless there is a file `go`. */
function held(word: string): { readonly project: TestProject; readonly gate: Gate } {
  const project = life(word);
  const gate = new Gate(project.folder, 'g');
  project.write('pipe.yaml', makePipeline(project.read('pipe.yaml'), `[ -e ${project.path('go')} ] || { ${gate.wait}; }`));
  return { project, gate };
}

const makePipeline = (text: string, hold: string): string => text.replace('{ :; } || true', `{ ${hold}; } || true`);

test('the clock set back an hour, between two runs and within one: changes are seen, leases hold, nobody waits for it', async () => {
  // What a process takes for the time of day; the files' times are set to go with it.
  const { project, gate } = held('first');
  project.write('clock.mjs', `import { existsSync } from 'node:fs';
const now = Date.now.bind(Date);
Date.now = () => now() + (existsSync(${JSON.stringify(project.path('ahead'))}) ? 3_600_000 : 0);
`);
  project.write('ahead', '');
  const ahead = (): Date => new Date(Date.now() + 3_600_000);
  utimesSync(project.path('word.txt'), ahead(), ahead());
  const env = { NODE_OPTIONS: `--import=file://${project.path('clock.mjs')}` };
  const first = project.start(['run'], env);
  const open = await gate.reached();
  // Within: the running one, and one that waits for it.
  rmSync(project.path('ahead'));
  const second = project.start(['run'], env);
  let waits = '';
  second.stderr!.on('data', (text: string) => void (waits += text));
  while (!waits.includes('run 1') && second.exitCode === null) await new Promise(resolve => setTimeout(resolve, 50));
  await open();
  for (const { code, stderr } of [await first.finished, await second.finished]) expect(code, stderr).toBe(0);
  expect(visible(project)).toEqual(clean.of('first'));
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  expect(store.database.prepare(`SELECT cell FROM attempt WHERE ended_at < started_at OR status <> 'ran'`).all()).toEqual([]);
  expect(store.database.prepare('SELECT count(*) AS n FROM attempt').get()).toEqual({ n: 7 });
  store.close();
  expect(project.pipe(['run'], env).stderr).toMatch(/nothing to run/);

  // Between: edits of the same size, with times before those that are known.
  for (const word of ['thing', 'other', 'third']) {
    project.write('word.txt', `${word}\n`);
    project.write('go', '');
    const { code, stderr } = project.pipe(['run'], env);
    expect(code, stderr).toBe(0);
    expect(visible(project)).toEqual(clean.of(word));
  }
  expectWell(project, 'third', 'clock');
  tell('the clock set back an hour in the middle of a run, another one waiting for it', 'no cell ran twice, no attempt ends before it began');
  tell('edits after the clock was set back an hour, of the same size', 'each was seen', 3);
});

test.each(['edited', 'deleted', 'edited and put back'])('an input that is %s while it is read', async how => {
  const { project, gate } = held('first');
  const run = project.start(['run', '-j', '1']);
  const open = await gate.reached();
  const path = project.path('word.txt');
  if (how === 'deleted') rmSync(path);
  else project.write('word.txt', 'other\n');
  if (how === 'edited and put back') project.write('word.txt', 'first\n');
  project.write('go', '');
  await open();
  const { code, stderr } = await run.finished;
  if (how === 'edited and put back') expect(code, stderr).toBe(0);
  if (how === 'edited') {
    expect(stderr).toContain('changed while it ran: word.txt; it runs once more');
    expect(code, stderr).toBe(0);
  }
  if (how === 'deleted') {
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/word\.txt/);
  }
  expect(stderr).not.toContain('this is a bug');
  project.write('word.txt', 'last\n');
  // Checkpoint and folder of a key that nobody comes back to stay for whoever does.
  expectWell(project, 'last', how, /checkpoint|left in work/);
  tell(`an input ${how} while a stage reads it`, how === 'edited and put back' ? 'its content counts: nothing ran again' : how === 'edited' ? 'tainted, not kept, made again of what it is now' : 'not kept, and said so; the next run finished');
});

const nobody = 65534;
const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];

/** A life of an ordinary user; null where this process cannot be one. */
function ordinary(word: string): { readonly project: TestProject; readonly pipe: (...args: string[]) => Finished } | null {
  if (process.getuid?.() !== 0 || spawnSync(asNobody[0]!, [...asNobody.slice(1), process.execPath, program, '--version']).status !== 0) return null;
  const project = life(word);
  own(project.folder, nobody);
  return { project, pipe: (...args) => runThrough(project, asNobody, args) };
}

const own = (path: string, user: number): void => void execFileSync('chown', ['-hR', `${user}:${user}`, path]);
const skipOrdinary = 'this is an ordinary user already, or one may not read this program';

test('an ordinary user, whom permissions hold back: runs, changes, cleans', context => {
  const made = ordinary('first');
  if (made === null) return context.skip(skipOrdinary);
  const { project, pipe } = made;
  for (const word of ['first', 'second', 'first']) {
    project.write('word.txt', `${word}\n`);
    const { code, stderr } = pipe('run');
    expect(code, stderr).toBe(0);
    expect(visible(project)).toEqual(clean.of(word));
  }
  expect(statSync(project.path('cache/pipe.db')).uid).toBe(nobody);
  const gc = pipe('cache', 'gc', '--max-size', '1');
  expect(gc.code, gc.stderr).toBe(0);
  expect(pipe('run').code).toBe(0);
  expect(visible(project)).toEqual(clean.of('first'));
  tell('an ordinary user runs, goes back and forth, cleans the cache', 'as for root');
});

interface Forbidden {
  readonly what: string;
  readonly forbid: (project: TestProject) => void;
  readonly allow: (project: TestProject) => void;
  readonly code: number;
  readonly says: RegExp;
}

const forbidden: readonly Forbidden[] = [
  { what: 'the cache folder', forbid: project => own(project.path('cache'), 0), allow: project => own(project.path('cache'), nobody), code: 3, says: /cannot be (?:written|opened for writing)[\s\S]*hint: / },
  { what: 'the database', forbid: project => chownSync(project.path('cache/pipe.db'), 0, 0), allow: project => chownSync(project.path('cache/pipe.db'), nobody, nobody), code: 3, says: /cannot be opened for writing[\s\S]*hint: / },
  ...(['logs', 'work', 'artefacts', 'checkpoints'] as const).map((folder): Forbidden => ({
    what: `cache/${folder}`, forbid: project => chownSync(project.path('cache', folder), 0, 0), allow: project => chownSync(project.path('cache', folder), nobody, nobody), code: 1, says: /EACCES|permission denied/i,
  })),
  { what: 'cache/out', forbid: project => own(project.path('cache/out'), 0), allow: project => own(project.path('cache/out'), nobody), code: 0, says: /outputs could not be shown: .*(?:EACCES|permission denied)/i },
  { what: 'where a result is published', forbid: project => own(project.path('results'), 0), allow: project => own(project.path('results'), nobody), code: 0, says: /outputs could not be shown: .*(?:EACCES|permission denied)/i },
  { what: 'an input', forbid: project => { chownSync(project.path('word.txt'), 0, 0); chmodSync(project.path('word.txt'), 0o600); }, allow: project => chmodSync(project.path('word.txt'), 0o644), code: 1, says: /word\.txt cannot be read: permission denied[\s\S]*hint: / },
];

test.for(forbidden)('an ordinary user who may not write or read $what: told, and well again when that is mended', ({ what, forbid, allow, code, says }, context) => {
  const made = ordinary('first');
  if (made === null) return context.skip(skipOrdinary);
  const { project, pipe } = made;
  expect(pipe('run').code).toBe(0);
  project.write('word.txt', 'second\n');
  own(project.path('word.txt'), nobody);
  forbid(project);
  const run = pipe('run');
  expect(run.stderr).not.toContain('this is a bug');
  expect([run.code, run.stderr]).toEqual([code, expect.stringMatching(says)]);
  allow(project);
  const next = pipe('run');
  expect(next.code, next.stderr).toBe(0);
  expect(visible(project)).toEqual(clean.of('second'));
  expect(existsSync(project.path('results/all.txt'))).toBe(true);
  expect(troubles(project)).toEqual([]);
  tell(`no permission for ${what}, as an ordinary user`, `exit code ${code} and said so; mended, the next run finished`);
});

