import { existsSync } from 'node:fs';
import { onTestFinished, expect, test } from 'vitest';
import { makeProject } from '../rig/pipe.ts';
import type { TestProject } from '../rig/pipe.ts';
import { troubles } from './rig/life.ts';
import { tell } from './rig/tally.ts';

const width = 12;
const rounds = 3;
/** source, scratch, each and next of each number, all. */
const cells = 2 + 2 * width + 1;

/** Every cell writes its name to a file of the project when it starts; one line is one write. */
function wide(): TestProject {
  const project = makeProject({ 'word.txt': 'word\n' });
  onTestFinished(() => project.remove());
  const say = `echo "$PIPE_CELL" >> ${project.path('ran.txt')}`;
  project.write('pipe.yaml', `pipeline: p
stages:
  source:
    run: ${say}; mkdir \${out.d}; for i in 1 2 3 4 5; do cp \${in.word} \${out.d}/$i; done
    in: { word: ./word.txt }
    out: { d: d/ }
  scratch:
    run: ${say}; cat \${in.d}/* > \${out.o}
    in: { d: source.d }
    out: { o: { path: o.txt, temp: true } }
  each:
    matrix: { axes: { n: { from: 1, to: ${width} } } }
    run: ${say}; { cat \${in.o}; echo \${matrix.n}; } > \${out.o}
    in: { o: scratch.o }
    out: { o: o.txt }
  next:
    matrix: { axes: { n: { from: 1, to: ${width} } } }
    run: ${say}; { cat \${in.o}; echo next; } > \${out.o}
    in: { o: "each[n=\${matrix.n}].o" }
    out: { o: o.txt }
  all:
    run: ${say}; cat \${in.parts} > \${out.o}
    in: { parts: "next[*].o" }
    out: { o: all.txt }
    publish: { o: results/all.txt }
`);
  return project;
}

const expected = Array.from({ length: width }, (_, index) => `${'word\n'.repeat(5)}${index + 1}\nnext\n`).join('');
const ran = (project: TestProject): string[] => (existsSync(project.path('ran.txt')) ? project.read('ran.txt').trim().split('\n').sort() : []);

test.each([2, 4, 8])('%i runs at once on one cache: each cell runs once, and all of them end well', async count => {
  for (let round = 0; round < rounds; round++) {
    const project = wide();
    const ends = await Promise.all(Array.from({ length: count }, () => project.start(['run', '-j', '2']).finished));
    for (const { code, stderr } of ends) expect(code, stderr).toBe(0);
    expect(ran(project)).toEqual([...new Set(ran(project))]);
    expect(ran(project)).toHaveLength(cells);
    expect(project.read('results/all.txt')).toBe(expected);
    expect(project.read('cache/out/p/all/o')).toBe(expected);
    expect(troubles(project)).toEqual([]);
    expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
  }
  tell(`${count} runs at once on one cache, ${cells} cells`, 'all ended with 0, each cell ran once', rounds);
});

test('of four runs at once two are killed: the others end well, and only what the dead were at ran twice', async () => {
  for (let round = 0; round < rounds; round++) {
    const project = wide();
    const runs = Array.from({ length: 4 }, () => project.start(['run', '-j', '2']));
    // As soon as something has run, wherever they are by then.
    while (ran(project).length < 3 + 4 * round && runs.every(({ exitCode }) => exitCode === null)) await new Promise(resolve => setTimeout(resolve, 5));
    for (const run of runs.slice(0, 2)) run.kill('SIGKILL');
    const ends = await Promise.all(runs.map(({ finished }) => finished));
    for (const { code, stderr } of ends.slice(2)) expect(code, stderr).toBe(0);
    const all = ran(project);
    expect(new Set(all).size).toBe(cells);
    // Two runs with two cells each.
    expect(all.length).toBeLessThanOrEqual(cells + 4);
    expect(project.read('results/all.txt')).toBe(expected);
    // Folders of the dead go with the next run.
    expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
    expect(troubles(project)).toEqual([]);
  }
  tell('four runs at once, two of them killed', 'the others ended with 0, at most the cells of the dead ran twice', rounds);
});
