import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TestProject } from '../rig/pipe.ts';
import { blobTroubles, CleanBuild, isMidCommit, makeLife, troubles, visible } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const moments = 200;
/** At once, each in a cache of its own. */
const lanes = 2;
/** One in so many begins a new cache; the others go on in one that has lived through all that came before. */
const births = 5;

const clean = new CleanBuild();

test(`kill -9 of pipe at ${moments} moments of a run's life: each time the next run finishes and nothing is wrong`, async () => {
  const lengths = await measured();
  const seen: Record<Phase, number> = { 'before the first cell': 0, 'while cells ran': 0, 'in the middle of a commit': 0, 'after the last cell': 0, 'after its end': 0 };
  let next = 0;
  const lane = async (): Promise<void> => {
    let project: TestProject | null = null;
    while (next < moments) {
      const moment = next++;
      const word = wordOf(moment);
      if (project === null || moment % births === 0) {
        project?.remove();
        project = makeLife(word);
      }
      project.write('word.txt', `${word}\n`);
      const before = visible(project);
      // The golden ratio spreads any number of moments evenly over the whole length; few of them over the start of Node.
      const part = (moment * 0.618034) % 1;
      const phase = await killedAt(project, moment % 8 === 0 ? { sinceStart: part * lengths.start } : { sincePlan: part * lengths.rest }, moment % 2 === 0);
      seen[phase]++;
      const says = `moment ${moment}, ${phase}`;
      // Every second time nobody looks into the database before the next run does.
      if (moment % 2 === 0) expect(blobTroubles(project), says).toEqual([]);
      const expected = clean.of(word);
      for (const [path, text] of Object.entries(visible(project))) expect([before[path], expected[path]], `${says}: ${path}`).toContain(text);
      const { code, stderr } = await project.start(['run']).finished;
      expect(code, `${says}\n${stderr}`).toBe(0);
      expect(visible(project), says).toEqual(expected);
      expect(troubles(project), says).toEqual([]);
    }
    project?.remove();
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  for (const [phase, count] of Object.entries(seen)) if (count > 0) tell(`kill -9 of pipe at a random moment: ${phase}`, 'the next run finished, all outputs as after a clean build, no half thing left', count);
});

type Phase = 'before the first cell' | 'while cells ran' | 'in the middle of a commit' | 'after the last cell' | 'after its end';

/** Milliseconds from the start of a run to its first line, and from there to its end, as they are in two lanes. */
async function measured(): Promise<{ readonly start: number; readonly rest: number }> {
  const one = async (): Promise<{ start: number; rest: number }> => {
    const project = makeLife('length');
    const began = performance.now();
    const run = project.start(['run']);
    await once(run.stderr!, 'data');
    const planned = performance.now();
    expect((await run.finished).code).toBe(0);
    project.remove();
    return { start: planned - began, rest: performance.now() - planned };
  };
  const all = [...(await Promise.all([one(), one()])), ...(await Promise.all([one(), one()]))];
  const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[2]!;
  return { start: middle(all.map(({ start }) => start)), rest: middle(all.map(({ rest }) => rest)) };
}

/** Ends a run by SIGKILL so many milliseconds after its start or its first line; says where it was, by what it has left. */
async function killedAt(project: TestProject, when: { readonly sinceStart: number } | { readonly sincePlan: number }, look: boolean): Promise<Phase> {
  const run = project.start(['run']);
  const kill = (ms: number): NodeJS.Timeout => setTimeout(() => void run.kill('SIGKILL'), ms);
  if ('sinceStart' in when) kill(when.sinceStart);
  else run.stderr!.once('data', () => kill(when.sincePlan));
  const { code, stderr } = await run.finished;
  if (code !== null) {
    expect(code, stderr).toBe(0);
    return 'after its end';
  }
  const names = (folder: string): string[] => (existsSync(project.path('cache', folder)) ? readdirSync(project.path('cache', folder)) : []);
  if (look ? isMidCommit(project) : names('artefacts').some(name => name.startsWith('.'))) return 'in the middle of a commit';
  if (names('work').length > 0) return 'while cells ran';
  return stderr.includes('ran') ? 'after the last cell' : 'before the first cell';
}

/** Letters only, another one for each number. */
const wordOf = (number: number): string => `w${[...String(number)].map(digit => String.fromCharCode(97 + Number(digit))).join('')}`;
