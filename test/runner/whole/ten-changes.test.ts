/**
 * Ten kinds of change, each really made, with what the plan, `pipe why` and the run then say. docs/staleness.md shows
 * the same texts; PIPE_WRITE_DOCS=1 writes them there.
 */
import { chmodSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { differenceFrom, readDocument } from '../../rig/document.ts';
import { makeProject } from '../../rig/pipe.ts';

const packageRoot = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');
const path = 'docs/staleness.md';

const pipeline = `pipeline: words
params: { least: 2 }
stages:
  collect:
    run: sh \${in.script} \${in.texts} > \${out.words}
    in: { script: ./tools/collect.sh, texts: ./data/texts }
    out: { words: words.txt }
    env: { pass: [WORDS_CASE] }
  count:
    uses: count-words
    in: { words: collect.words }
    with: { least: "\${params.least}" }
  first:
    run: head -n 1 \${in.counts} > \${out.first}
    in: { counts: count.counts }
    out: { first: first.txt }
`;

const stageModule = `import { readFileSync, writeFileSync } from 'node:fs';
import { defineStage } from 'xfolds/stage';
import { z } from 'zod';
import { tally } from '../lib/tally.ts';

export const stage = defineStage({
  params: z.object({ least: z.int() }),
  inputs: { words: 'file' },
  outputs: { counts: 'file' },
  async run({ params, inputs, outputs }) {
    const counts = tally(readFileSync(inputs.words, 'utf8').split(/\\s+/));
    const lines = [...counts].filter(([, count]) => count >= params.least).map(([word, count]) => \`\${count} \${word}\`);
    writeFileSync(outputs.counts, \`\${lines.join('\\n')}\\n\`);
  },
});
`;

const lockFile = (version: string): string => JSON.stringify({
  name: 'words', lockfileVersion: 3,
  packages: { '': { dependencies: { 'tidy-words': version } }, 'node_modules/tidy-words': { version } },
}, null, 2);

const project = makeProject({
  'package.json': '{ "type": "module" }',
  'package-lock.json': lockFile('1.0.0'),
  'pipe.yaml': pipeline,
  'stages/count-words.ts': stageModule,
  'lib/tally.ts': `import { split } from './split.ts';\n\nexport const tally = (words: readonly string[]): Map<string, number> => {\n  const counts = new Map<string, number>();\n  for (const word of words.flatMap(split)) counts.set(word, (counts.get(word) ?? 0) + 1);\n  return counts;\n};\n`,
  'lib/split.ts': `import { tidy } from 'tidy-words';\n\nexport const split = (word: string): string[] => (word === '' ? [] : [tidy(word)]);\n`,
  'tools/collect.sh': `cat "$1"/*.txt | if [ "$WORDS_CASE" = lower ]; then tr A-Z a-z; else cat; fi\n`,
  'data/texts/one.txt': 'the cat and the dog\n',
  'data/texts/two.txt': 'the end\n',
  'node_modules/tidy-words/package.json': '{ "name": "tidy-words", "version": "1.0.0", "type": "module", "exports": "./index.js" }',
  'node_modules/tidy-words/index.js': 'export const tidy = word => word.replace(/[.,]/g, "");\n',
});
afterAll(() => {
  for (const folder of readdirSync(project.path('cache', 'artefacts'))) chmodSync(project.path('cache', 'artefacts', folder), 0o755);
  project.remove();
});
symlinkSync(packageRoot, project.path('node_modules', 'xfolds'));
symlinkSync(realpathSync(join(packageRoot, 'node_modules', 'zod')), project.path('node_modules', 'zod'));

interface Change {
  readonly title: string;
  /** In the document: what was done. */
  readonly did: string;
  readonly make: () => void;
  readonly env?: Readonly<Record<string, string>>;
  /** The cell that is asked about. */
  readonly why: string;
  /** What `pipe why` has to say, apart from the document. */
  readonly reason: RegExp;
  /** How each cell ends in the run. */
  readonly ran: Readonly<Record<string, 'ran' | 'fresh'>>;
}

const edit = (file: string, from: string, to: string): void => {
  const text = project.read(file);
  if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
  project.write(file, text.replaceAll(from, to));
};
/** The file behind a link of cache/out. */
const artefact = (cell: string, output: string): string => realpathSync(project.path('cache', 'out', 'words', cell, output));
const unlock = (file: string): void => {
  chmodSync(dirname(file), 0o755);
  chmodSync(file, 0o644);
};

const allFresh = { collect: 'fresh', count: 'fresh', first: 'fresh' } as const;

const changes: readonly Change[] = [
  {
    title: 'A param', did: 'In `pipe.yaml`, `least: 2` becomes `least: 1`.', make: () => edit('pipe.yaml', 'least: 2', 'least: 1'),
    why: 'count', reason: /with\.least.*2.*1[\s\S]*pipe\.yaml:2:/, ran: { collect: 'fresh', count: 'ran', first: 'ran' },
  },
  {
    title: 'The code of a stage', did: 'In `stages/count-words.ts`, `count >= params.least` becomes `count > params.least`. (A comment added there, or another formatting, changes nothing.) It then counts what it counted at first, for which `first` has its result already.',
    make: () => edit('stages/count-words.ts', 'count >= params.least', 'count > params.least'),
    why: 'count', reason: /stages\/count-words\.ts/, ran: { collect: 'fresh', count: 'ran', first: 'fresh' },
  },
  {
    title: 'A helper that it imports', did: 'In `lib/split.ts`, which `lib/tally.ts` imports, which the stage imports, words become upper case.',
    make: () => edit('lib/split.ts', '[tidy(word)]', '[tidy(word).toUpperCase()]'),
    why: 'count', reason: /lib\/split\.ts[\s\S]*count-words\.ts[\s\S]*lib\/tally\.ts|count-words\.ts[\s\S]*lib\/tally\.ts[\s\S]*lib\/split\.ts/, ran: { collect: 'fresh', count: 'ran', first: 'ran' },
  },
  {
    title: 'The version of a package', did: 'In `package-lock.json`, `tidy-words`, which `lib/split.ts` imports, goes from 1.0.0 to 1.1.0.',
    make: () => project.write('package-lock.json', lockFile('1.1.0')),
    why: 'count', reason: /tidy-words.*1\.0\.0.*1\.1\.0/, ran: { collect: 'fresh', count: 'ran', first: 'fresh' },
  },
  {
    title: 'A byte of an input', did: 'In `data/texts/two.txt`, `the end` becomes `the bend`.', make: () => edit('data/texts/two.txt', 'the end', 'the bend'),
    why: 'first', reason: /two\.txt/, ran: { collect: 'ran', count: 'ran', first: 'fresh' },
  },
  {
    title: 'An input that is touched only', did: '`touch data/texts/two.txt`: a new time, the same bytes.',
    make: () => utimesSync(project.path('data/texts/two.txt'), new Date(), new Date()),
    why: 'collect', reason: /nothing changed/, ran: allFresh,
  },
  {
    title: 'The environment', did: '`WORDS_CASE=lower` is set; `collect` lists it under `env.pass`. The texts are lower case already, so `collect` makes the same again and what follows stays fresh.',
    make: () => undefined, env: { WORDS_CASE: 'lower' },
    why: 'collect', reason: /env\.WORDS_CASE.*lower/, ran: { collect: 'ran', count: 'fresh', first: 'fresh' },
  },
  {
    title: 'An output that is deleted', did: 'The folder of `count.counts` in `cache/artefacts` is removed. (A link in `cache/out` that is removed comes back without a run.)',
    make: () => {
      const file = artefact('count', 'counts');
      unlock(file);
      rmSync(dirname(file), { recursive: true });
    },
    env: { WORDS_CASE: 'lower' },
    why: 'count', reason: /output counts is gone/, ran: { collect: 'fresh', count: 'ran', first: 'fresh' },
  },
  {
    title: 'An output that is edited by hand', did: 'A line is written over the artefact of `collect.words`. It is put into quarantine and made again.',
    make: () => {
      const file = artefact('collect', 'words');
      unlock(file);
      writeFileSync(file, 'other words\n');
    },
    env: { WORDS_CASE: 'lower' },
    why: 'collect', reason: /output words .*damaged/, ran: { collect: 'ran', count: 'fresh', first: 'fresh' },
  },
  {
    title: 'A stage that is renamed', did: 'In `pipe.yaml`, `count` is called `tally`. Names are not in keys: nothing runs, and the results are those of before.',
    make: () => {
      edit('pipe.yaml', '  count:\n', '  tally:\n');
      edit('pipe.yaml', 'count.counts', 'tally.counts');
    },
    env: { WORDS_CASE: 'lower' },
    why: 'tally', reason: /nothing changed/, ran: { collect: 'fresh', tally: 'fresh', first: 'fresh' },
  },
];

const block = (text: string): string => `\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
/** Times differ from run to run, and keys with the versions of packages. */
const steady = (text: string): string => text.replaceAll(/fresh {3}[0-9a-f]{6}$/gm, 'fresh').replaceAll(/about [\d.]+ (?:ms|s|min)/g, 'about 1 s').replaceAll(/ +\(attempt \d+\)/g, '');

test('ten kinds of change: the plan, the reasons and what ran, as docs/staleness.md shows them', async () => {
  mkdirSync(project.path('.git'));
  const cold = project.pipe(['run', '--json']);
  expect(cold.code, cold.stderr + cold.stdout.slice(-2000)).toBe(0);
  let shown = '';
  for (const [index, change] of changes.entries()) {
    change.make();
    const env = change.env ?? {};
    const [status, why] = await Promise.all([project.start(['status'], env).finished, project.start(['why', change.why], env).finished]);
    const dry = project.pipe(['run', '--dry'], env);
    const run = project.pipe(['run', '--json'], env);
    expect([status.code, why.code, dry.code, run.code], `${change.title}\n${status.stderr}${why.stderr}${dry.stderr}${run.stdout.slice(-1500)}`).toEqual([0, 0, 0, 0]);
    expect(dry.stdout.replace(' · dry run: nothing is started', ''), `${change.title}: --dry shows the plan that status shows`).toBe(status.stdout);
    expect(why.stdout, change.title).toMatch(change.reason);
    const events = run.stdout.trimEnd().split('\n').map(line => JSON.parse(line) as { readonly event: string; readonly cell?: string; readonly status?: string; readonly level?: string; readonly text?: string });
    const ended = events.filter(({ event }) => event === 'cell.finished');
    expect(Object.fromEntries(ended.map(({ cell, status: how }) => [cell, how])), change.title).toEqual(change.ran);
    const ran = Object.entries(change.ran).map(([cell, how]) => `${cell} ${how}`).join(', ');
    shown += `\n## ${index + 1}. ${change.title}\n\n${change.did}\n\n\`pipe status\`\n\n${block(steady(status.stdout))}\n\`pipe why ${change.why}\`\n\n${block(steady(why.stdout))}\nWhat ran: ${ran}.\n`;
  }
  const document = readDocument(path);
  const begin = document.indexOf('\n## 1. ');
  expect(differenceFrom(path, (begin < 0 ? document : document.slice(0, begin)) + shown)).toBeNull();
}, 180_000);
