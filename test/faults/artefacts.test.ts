import { chmodSync, cpSync, lstatSync, mkdirSync, readFileSync, readdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { Gate } from '../rig/gate.ts';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';
import { CleanBuild, makeLife, troubles, visible } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const clean = new CleanBuild();

/** What may happen to a file of an artefact, or to the whole of it: `path` is the file, `whole` the artefact. */
const harms: Readonly<Record<string, (path: string, whole: string) => void>> = {
  'truncated': path => truncateSync(path, 3),
  'emptied': path => truncateSync(path, 0),
  'one bit flipped, its times put back': path => {
    const { atime, mtime } = statSync(path);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
  },
  'deleted': path => rmSync(path),
  'deleted with its folder': (_, whole) => rmSync(dirname(whole), { recursive: true }),
  'made executable': path => chmodSync(path, 0o755),
  'replaced by a link to a copy': path => {
    renameSync(path, `${path}.copy`);
    cpSync(`${path}.copy`, join(outside(path), 'copy'));
    rmSync(`${path}.copy`);
    symlinkSync(join(outside(path), 'copy'), path);
  },
  'replaced by a link to nothing': path => {
    rmSync(path);
    symlinkSync('/nowhere/at/all', path);
  },
  'replaced by a folder': path => {
    rmSync(path);
    mkdirSync(path);
  },
  'the whole replaced by a link': (_, whole) => {
    const copy = join(outside(whole), 'whole');
    cpSync(whole, copy, { recursive: true });
    rmSync(whole, { recursive: true });
    symlinkSync(copy, whole);
  },
};

/** A folder of the project beside the cache. */
function outside(path: string): string {
  const folder = join(path.slice(0, path.indexOf('/cache/artefacts/')), 'outside');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** As someone does who means it: permissions are no hindrance. */
function harm(project: TestProject, how: string, shown: string): void {
  const whole = realpathSync(project.path('cache/out/p', shown));
  const path = lstatSync(whole).isDirectory() ? join(whole, '7.txt') : whole;
  for (const each of [dirname(whole), whole, path]) chmodSync(each, lstatSync(each).isDirectory() ? 0o755 : 0o644);
  harms[how]!(path, whole);
}

const kinds = [['a file', 'count/o'], ['a file in a folder', 'split/d']] as const;

test.each(Object.keys(harms).flatMap(how => kinds.map(([what, shown]) => [what, how, shown] as const)))('%s of an artefact %s between two runs: found, made again, nothing else touched', (what, how, shown) => {
  const project = makeLife('word');
  onTestFinished(() => project.remove());
  expect(project.pipe(['run']).code).toBe(0);
  harm(project, how, shown);
  const { code, stderr } = project.pipe(['run']);
  expect(code, stderr).toBe(0);
  expect(stderr).not.toMatch(/nothing to run/);
  expect(visible(project)).toEqual(clean.of('word'));
  expect(troubles(project)).toEqual([]);
  expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
  tell(`an artefact ${how} (a file, a file in a folder), between two runs`, 'found by the next run and made again');
});

/** `made` ends early, `wait` stays at the gate, `last` reads what both have made. */
function inTheMiddle(): { readonly project: TestProject; readonly gate: Gate } {
  const project = makeProject({ 'word.txt': 'word\n' });
  onTestFinished(() => project.remove());
  const gate = new Gate(project.folder, 'g');
  project.write('pipe.yaml', `pipeline: p
stages:
  made:
    run: mkdir \${out.d}; for i in 5 6 7; do cat \${in.word} > \${out.d}/$i.txt; done; cp \${in.word} \${out.o}
    in: { word: ./word.txt }
    out: { d: d/, o: o.txt }
  wait:
    run: "[ -e ${project.path('go')} ] || { ${gate.wait}; }; cp \${in.o} \${out.o}"
    in: { o: made.o }
    # Starts when its input can also be seen in cache/out: there the test does harm.
    needs: [made]
    out: { o: wait.txt }
  last:
    run: cat \${in.d}/* \${in.o} \${in.w} > \${out.o}
    in: { d: made.d, o: made.o, w: wait.o }
    out: { o: last.txt }
`);
  return { project, gate };
}

const middle = [['a file', 'made/o'], ['a file in a folder', 'made/d']] as const;

test.each(Object.keys(harms).flatMap(how => middle.map(([what, shown]) => [what, how, shown] as const)))('%s of an artefact %s in the middle of a run: whoever reads it next does not get it so', async (what, how, shown) => {
  const { project, gate } = inTheMiddle();
  const run = project.start(['run']);
  const open = await gate.reached();
  harm(project, how, shown);
  project.write('go', '');
  await open();
  const { code, stderr } = await run.finished;
  // A stage that may have read it fails: nobody knows what it saw.
  if (code !== 0) expect(stderr).toMatch(/the input \S+ was (?:changed|removed) while the stage ran/);
  const next = project.pipe(['run']);
  expect(next.code, next.stderr).toBe(0);
  expect(project.read('cache/out/p/last/o')).toBe('word\n'.repeat(5));
  expect(troubles(project)).toEqual([]);
  expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
  tell(`an artefact ${how} (a file, a file in a folder), in the middle of a run`, 'not used: made again, or its reader failed and the next run made it again');
});

test.each([
  ['appends to', 'echo more >> ${in.o}'],
  ['truncates', ': > ${in.o}'],
  ['removes', 'rm -f ${in.o}'],
  ['edits in place a file in the folder of', 'sed -i s/word/other/ ${in.d}/6.txt'],
  ['adds a file to the folder of', 'echo x > ${in.d}/new.txt'],
  ['replaces by a link', 'cp ${in.o} here.txt; rm ${in.o}; ln -s $PWD/here.txt ${in.o}'],
])('a stage that %s its input: it fails, and what it spoilt is made again', (does, command) => {
  const project = makeProject({ 'word.txt': 'word\n' });
  onTestFinished(() => project.remove());
  const pipeline = (spoil: string): string => `pipeline: p
stages:
  made:
    run: mkdir \${out.d}; for i in 5 6 7; do cat \${in.word} > \${out.d}/$i.txt; done; cp \${in.word} \${out.o}
    in: { word: ./word.txt }
    out: { d: d/, o: o.txt }
  spoil:
    run: |
      chmod -R u+w \${in.d} \${in.o} $(dirname \${in.o}) $(dirname \${in.d})
      ${spoil}
      echo done > \${out.o}
    in: { d: made.d, o: made.o }
    out: { o: spoil.txt }
`;
  project.write('pipe.yaml', pipeline(command));
  const { code, stderr } = project.pipe(['run']);
  expect(code, stderr).toBe(1);
  expect(stderr).toMatch(/the input \S+ was (?:changed|removed) while the stage ran/);
  if (does !== 'removes') expect(readdirSync(project.path('cache/quarantine')).length).toBeGreaterThan(0);
  project.write('pipe.yaml', pipeline('cat ${in.d}/* ${in.o}').replace('echo done', 'cat ${in.d}/* ${in.o}'));
  const next = project.pipe(['run']);
  expect(next.code, next.stderr).toBe(0);
  expect(project.read('cache/out/p/spoil/o')).toBe('word\n'.repeat(4));
  expect(troubles(project).filter(trouble => !trouble.startsWith('left in work'))).toEqual([]);
  tell(`a stage ${does} its input`, 'failed as `damaged-input`; the next run made the input again');
});
