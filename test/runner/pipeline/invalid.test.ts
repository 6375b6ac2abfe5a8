/**
 * Invalid files and what is said of them. In each text, «…» stands around what the squiggle must mark; the marks are
 * taken out before the file is read. One text has one mistake, so one message is expected.
 */
import { describe, expect, test } from 'vitest';
import { mistakes } from './rig/files.ts';
import type { LoadSettings } from './rig/files.ts';

interface Invalid extends LoadSettings {
  readonly name: string;
  readonly text: string;
  readonly code: string;
  readonly message: RegExp;
  readonly hint: RegExp | null;
  /** The marked file, when it is not the pipeline itself. */
  readonly file?: string;
}

const head = 'pipeline: demo\n';
const producer = `${head}stages:
  images:
    run: touch \${out.list}
    out: { list: list.txt, count: count.txt }
`;

const cases: readonly Invalid[] = [
  // YAML itself
  { name: 'a tab', text: `${head}stages:\n«\t»images: 1\n`, code: 'tab', message: /tabs/i, hint: /spaces/ },
  { name: 'an unquoted template in a flow map', text: `${head}params:\n  n: 1\n  range: { from: 1, to: $«{»params.n} }\n`, code: 'yaml-syntax', message: /unexpected/, hint: /quotes/ },
  { name: 'an open list', text: `${head}include: [a, b\n«s»tages: {}\n`, code: 'yaml-syntax', message: /flow sequence/, hint: null },
  { name: 'two documents', text: `${head}«---»\npipeline: other\n`, code: 'yaml-syntax', message: /multiple documents/, hint: /one document/ },
  { name: 'an unknown tag', text: `${head}title: «!best» of all\n`, code: 'unknown-tag', message: /!best/, hint: /quotes/ },
  { name: 'a duplicate key', text: `${head}params:\n  a: 1\n  «a»: 2\n`, code: 'duplicate-key', message: /`a` is written twice/, hint: /keep one/ },
  { name: 'an unknown anchor', text: `${head}params:\n  a: «*nothing»\n`, code: 'unknown-anchor', message: /nothing/, hint: null },
  { name: 'a merge that hides a value', text: `${head}params:\n  base: &base { a: 1, b: 2 }\n  own: { <<: «*base», a: 3 }\n`, code: 'hidden-merge', message: /`<<` brings `a`/, hint: /one place/ },
  {
    name: 'an anchor bomb',
    text: `${head}params:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n  c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n  d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n  e: [«*d», *d, *d]\n`,
    code: 'anchor-bomb', message: /unfold to more than/, hint: null,
  },
  { name: 'not a number', text: `${head}params:\n  rate: «.nan»\n`, code: 'not-finite', message: /NaN/, hint: /text/ },
  { name: 'a whole number that cannot be held', text: `${head}params:\n  id: «9007199254740993»\n`, code: 'number-precision', message: /exactly/, hint: /quote/ },
  { name: 'a character NUL, which no path can hold', text: `${producer}    publish: { list: «"\\0results/list.txt"» }\n`, code: 'bad-value', message: /cannot hold the character NUL/, hint: /take it out/ },
  { name: 'a character NUL in a key', text: `${head}params:\n  rates: { «"a\\0b"»: 1 }\n`, code: 'bad-value', message: /cannot hold the character NUL/, hint: /take it out/ },
  // shape
  { name: 'a list for a file', text: '«-» a\n', code: 'wrong-type', message: /is a map/, hint: /pipeline: NAME/ },
  { name: 'a part run on its own', text: '«s»tages: {}\n', code: 'missing-key', message: /is a part/, hint: /pipeline: NAME/ },
  { name: 'an unknown key', text: `${head}«stagse»: {}\n`, code: 'unknown-key', message: /`stagse`/, hint: /did you mean `stages`/ },
  { name: 'an unknown key of a stage', text: `${head}stages:\n  a:\n    run: touch x\n    «whit»: {}\n`, code: 'unknown-key', message: /stage `a`/, hint: /did you mean `with`/ },
  { name: 'an unknown key deep in', text: `${head}stages:\n  a:\n    run: touch x\n    retries: { times: 2, «backof»: 3s }\n`, code: 'unknown-key', message: /`backof`/, hint: /did you mean `backoff`/ },
  { name: 'a wrong type', text: `${head}stages:\n  a:\n    run: touch x\n    needs: «b»\n`, code: 'wrong-type', message: /`needs` must be a list, not the text "b"/, hint: null },
  { name: 'a word that is none of the words', text: `${head}stages:\n  a:\n    run: touch x\n    on_change: «halt»\n`, code: 'wrong-type', message: /one of stop, finish/, hint: null },
  { name: 'a bad stage name', text: `${head}stages:\n  «a.b»:\n    run: touch x\n`, code: 'bad-name', message: /`a.b` is no name/, hint: null },
  { name: 'neither uses nor run', text: `${head}stages:\n  «a»:\n    with: { x: 1 }\n`, code: 'missing-key', message: /neither `uses` nor `run`/, hint: /uses/ },
  { name: 'both uses and run', text: `${head}stages:\n  a:\n    uses: phantom\n    «run»: touch x\n`, code: 'uses-and-run', message: /both/, hint: /keep one/ },
  { name: 'out of a typed stage', text: `${head}stages:\n  a:\n    uses: phantom\n    «out»: { x: y }\n`, code: 'unknown-key', message: /belongs to `run:`/, hint: /leave/ },
  { name: 'a halving without rungs', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2] }, «halving»: { metric: loss, mode: min, param: steps, keep: 1 } }\n`, code: 'missing-key', message: /needs `rungs`/, hint: null },
  // names
  { name: 'an unknown typed stage', text: `${head}stages:\n  a:\n    uses: «phantm»\n`, code: 'unknown-module', message: /`phantm`/, hint: /did you mean `phantom`/ },
  { name: 'an input that no typed stage takes and every object has', text: `${producer}  b:\n    uses: train\n    in: { images: images.list, «constructor»: images.list }\n`, code: 'unknown-input', message: /takes no input `constructor`/, hint: /inputs are/ },
  { name: 'an unknown stage', text: `${producer}  b:\n    run: cat \${in.x}\n    in: { x: «imgaes».list }\n`, code: 'unknown-stage', message: /`imgaes`/, hint: /did you mean `images`/ },
  { name: 'a file without its ./', text: `${head}stages:\n  b:\n    run: cat \${in.x}\n    in: { x: «data».csv }\n`, code: 'unknown-stage', message: /`data`/, hint: /write \.\/data\.csv/ },
  { name: 'an unknown output', text: `${producer}  b:\n    run: cat \${in.x}\n    in: { x: images.«lists» }\n`, code: 'unknown-output', message: /`lists`/, hint: /did you mean `list`/ },
  { name: 'an unknown input', text: `${head}stages:\n  a:\n    uses: preprocess\n    in: { pairs: ./pairs, «capitons»: ./x }\n`, code: 'unknown-input', message: /takes no input `capitons`/, hint: /inputs are: pairs/ },
  { name: 'a missing input', text: `${head}stages:\n  «a»:\n    uses: preprocess\n`, code: 'missing-input', message: /lacks the input `pairs`/, hint: /pairs: stage.output/ },
  { name: 'an unknown input of a command', text: `${head}stages:\n  a:\n    run: cat «\${in.x}»\n    in: { y: ./y }\n`, code: 'unknown-input', message: /no input `x`/, hint: /there are: y/ },
  { name: 'an unknown param', text: `${head}params: { sizes: [a] }\nstages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { size: "«\${params.szies}»" }\n`, code: 'unknown-param', message: /no `szies`/, hint: /did you mean `sizes`/ },
  { name: 'an unknown axis', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2] } }\n    with: { seed: "«\${matrix.sed}»" }\n`, code: 'unknown-axis', message: /no axis `sed`/, hint: /did you mean `seed`/ },
  { name: 'a param that the stage does not have', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { «sede»: 1 }\n`, code: 'unknown-param', message: /no param `sede`/, hint: /did you mean `seed`/ },
  { name: 'a nested param that the stage does not have', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { optimiser: { «rat»: 1 } }\n`, code: 'unknown-param', message: /no param `optimiser.rat`/, hint: /did you mean `rate`/ },
  { name: 'a param of a wrong type', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { seed: «one» }\n`, code: 'bad-param', message: /`with.seed` of stage `a`: .*number/, hint: null },
  { name: 'a param that is none of its words', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { optimiser: { name: «adma» } }\n`, code: 'bad-param', message: /optimiser.name/, hint: /did you mean `adam`/ },
  { name: 'a profile entry that names no param', text: `${head}params: { a: 1 }\nprofiles:\n  lab: { «b»: 2 }\n`, code: 'unknown-param', message: /no param is called `b`/, hint: /a/ },
  { name: 'an unknown part to ignore', text: `${head}stages:\n  a:\n    uses: train\n    in: { images: ./x }\n    ignore: [«with.sed»]\n`, code: 'unknown-part', message: /with.sed/, hint: /did you mean `with.seed`/ },
  // templates
  { name: 'a shell variable in braces', text: `${head}stages:\n  a:\n    run: ls «\${HOME}»/data\n`, code: 'shell-variable', message: /not the shell's/, hint: /write \$HOME/ },
  { name: 'an unknown root', text: `${head}stages:\n  a:\n    run: ls «\${parms.x}»\n`, code: 'bad-template', message: /begins with params/, hint: /did you mean `\$\{params.x\}`/ },
  { name: 'a sum in a template', text: `${head}params: { n: 1 }\nstages:\n  a:\n    run: seq «\${params.n + 1}»\n`, code: 'bad-template', message: /must name a value/, hint: /do not compute/ },
  { name: 'an open template', text: `${head}stages:\n  a:\n    run: ls «\${params.x»\n`, code: 'bad-template', message: /not closed/, hint: /\}/ },
  { name: 'a list inside a text', text: `${head}params: { l: [1] }\nstages:\n  a:\n    uses: train\n    in: { images: ./x }\n    with: { size: "x«\${params.l}»" }\n`, code: 'template-in-text', message: /is a list/, hint: /whole value/ },
  { name: 'params that name each other', text: `${head}params:\n  a: «\${params.b}»\n  b: \${params.a}\n`, code: 'param-cycle', message: /a → b → a/, hint: null },
  // references and matrices
  { name: 'a reference without an output', text: `${producer}  b:\n    run: cat \${in.x}\n    in: { x: «images» }\n`, code: 'bad-reference', message: /not which of its outputs/, hint: /stage.output/ },
  { name: 'a cycle', text: `${head}stages:\n  a:\n    run: cat \${in.x} > \${out.y}\n    in: { x: b.y }\n    out: { y: y }\n  b:\n    run: cat \${in.x} > \${out.y}\n    in: { x: «a.y» }\n    out: { y: y }\n`, code: 'cycle', message: /a → b → a/, hint: /before/ },
  { name: 'a stage that needs itself', text: `${head}stages:\n  a:\n    run: cat \${in.x} > \${out.y}\n    in: { x: «a.y» }\n    out: { y: y }\n`, code: 'cycle', message: /needs itself/, hint: /before/ },
  { name: 'an ambiguous reference', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2] } }\n    with: { seed: "\${matrix.seed}" }\n  e:\n    uses: evaluate\n    in: { images: ./x, model: «t.model» }\n`, code: 'ambiguous-reference', message: /no axis `seed`/, hint: /seed: 1, 2.*each: t/ },
  { name: 'a value that an axis does not have', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { size: [d16l1, d24l2] } }\n    with: { size: "\${matrix.size}" }\n  e:\n    uses: evaluate\n    in: { images: ./x, model: "t[size=«d16l2»].model" }\n`, code: 'no-such-cell', message: /no value d16l2/, hint: /did you mean `d16l1`/ },
  { name: 'a gather for one file', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n  e:\n    uses: evaluate\n    in: { images: ./x, model: «"t[*].model"» }\n`, code: 'kind-mismatch', message: /takes one file, not a gather/, hint: /write t.model/ },
  { name: 'one file for a gather', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n  f:\n    uses: fit\n    in: { runs: «t.metrics» }\n`, code: 'kind-mismatch', message: /takes a gather/, hint: /write t\[\*\].metrics/ },
  { name: 'a file for a folder', text: `${head}stages:\n  p:\n    uses: preprocess\n    in: { pairs: ./x }\n  t:\n    uses: train\n    in: { images: «p.captions» }\n`, code: 'kind-mismatch', message: /takes a folder, but p.captions is a file/, hint: /p.images/ },
  { name: 'a file on disk for a folder', text: `${head}stages:\n  p:\n    uses: preprocess\n    in: { pairs: «./pairs.csv» }\n`, files: { 'pairs.csv': 'x' }, code: 'kind-mismatch', message: /pairs.csv is a file/, hint: null },
  { name: 'an inactive stage', text: `${head}params: { s: roco }\nstages:\n  p:\n    uses: phantom\n    when: \${params.s} == phantom\n  q:\n    uses: preprocess\n    in: { pairs: «p.pairs» }\n`, code: 'inactive-stage', message: /not active/, hint: /list/ },
  { name: 'each of an inactive stage', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    when: false\n  e:\n    run: touch x\n    each: «t»\n`, code: 'inactive-stage', message: /not active/, hint: /same `when:`/ },
  { name: 'a condition that is none', text: `${head}params: { s: roco }\nstages:\n  p:\n    uses: phantom\n    when: \${params.s} «=» phantom\n`, code: 'bad-condition', message: /`=`/, hint: /==/ },
  { name: 'an empty axis', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: «[]» } }\n`, code: 'empty-axis', message: /no values/, hint: /one value/ },
  { name: 'a range that ends before it begins', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: «{ from: 3, to: 1 }» } }\n`, code: 'empty-axis', message: /from 3 to 1/, hint: /negative step/ },
  { name: 'a value that is there twice', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2, «1»] } }\n`, code: 'duplicate-value', message: /value 1 twice/, hint: /id/ },
  { name: 'uneven columns', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { zip: { seed: [1, 2], size: «[a]» } }\n`, code: 'uneven-zip', message: /`seed` has 2 values, `size` has 1/, hint: null },
  { name: 'an axis that nobody has', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2] }, exclude: [{ «sed»: 1 }] }\n`, code: 'unknown-axis', message: /no axis `sed`/, hint: /did you mean `seed`/ },
  { name: 'a sample of more than there is', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix: { axes: { seed: [1, 2] }, sample: { count: «3» } }\n`, code: 'sample-too-large', message: /3 points cannot be drawn from 2/, hint: null },
  // settings
  { name: 'one and a half GPUs', text: `${head}stages:\n  a:\n    run: touch x\n    resources: { gpu: «1.5» }\n`, code: 'wrong-type', message: /whole number, or a share below 1/, hint: null },
  { name: 'a size that is none', text: `${head}stages:\n  a:\n    run: touch x\n    resources: { memory: «much» }\n`, code: 'wrong-type', message: /size such as 20G/, hint: null },
  { name: 'a time that is none', text: `${head}stages:\n  a:\n    run: touch x\n    timeout: «6 fortnights»\n`, code: 'wrong-type', message: /time such as 6h/, hint: null },
  { name: 'a variable that no shell could set', text: `${head}stages:\n  a:\n    run: touch x\n    env: { pass: [«MY-VAR»] }\n`, code: 'wrong-type', message: /a name of letters/, hint: null },
  // outputs
  { name: 'an output outside the run folder', text: `${head}stages:\n  a:\n    run: touch x\n    out: { x: «../x» }\n`, code: 'bad-path', message: /run folder/, hint: /publish/ },
  { name: 'two outputs on one path', text: `${head}stages:\n  a:\n    run: touch x\n    out: { x: data, y: «data/y» }\n`, code: 'path-conflict', message: /same path/, hint: /own/ },
  { name: 'a path that two stages publish', text: `${producer}    publish: { list: results/x, count: «results/x» }\n`, code: 'path-conflict', message: /both write results\/x/, hint: /own path/ },
  { name: 'a copy outside the project', text: `${producer}    publish: { list: «../x» }\n`, code: 'bad-path', message: /inside the project/, hint: /relative/ },
  { name: 'a matrix that publishes', text: `${producer}    matrix: { axes: { n: [1, 2] } }\n    publish: { list: «x.txt» }\n`, code: 'publish-matrix', message: /overwrite/, hint: /gather/ },
  { name: 'a published file read as a path', text: `${producer}    publish: { list: results/list.txt }\n  b:\n    run: cat \${in.x}\n    in: { x: «./results/list.txt» }\n`, code: 'hidden-edge', message: /which stage `images` publishes/, hint: /output instead/ },
  // report
  { name: 'a table of no stage', text: `${producer}report:\n  - { table: «image» }\n`, code: 'unknown-stage', message: /`image`/, hint: /did you mean `images`/ },
  { name: 'a figure that is no output', text: `${producer}report:\n  - { figure: «images.plot» }\n`, code: 'unknown-output', message: /`plot`/, hint: /list, count/ },
  // includes
  { name: 'a file that is not there', text: `${head}include: [«parts/x.yaml»]\n`, code: 'missing-file', message: /parts\/x.yaml does not exist/, hint: /relative to the file/ },
  { name: 'pipelines that include each other', text: `${head}include: [b.yaml]\n`, files: { 'b.yaml': 'pipeline: b\ninclude: [«pipe.yaml»]\n' }, file: 'b.yaml', code: 'include-cycle', message: /demo → b → demo/, hint: /part/ },
  { name: 'a stage in two files', text: `${producer}include: [b.yaml]\n`, files: { 'b.yaml': 'stages:\n  «images»:\n    run: touch x\n' }, file: 'b.yaml', code: 'duplicate-name', message: /`images` is declared twice/, hint: /rename/ },
  { name: 'a mistake in an included file', text: `${head}include: [b.yaml]\n`, files: { 'b.yaml': 'pipeline: b\nstages:\n  x:\n    run: ls «${params.y}»\n' }, file: 'b.yaml', code: 'unknown-param', message: /no `y`/, hint: /declared/ },
  // halving
  { name: 'halving a param that `with` sets', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    with: { steps: 3 }\n    matrix:\n      axes: { seed: [1, 2] }\n      halving: { metric: loss, mode: min, param: «steps», rungs: [1, 2], keep: 1 }\n`, code: 'bad-halving', message: /set by halving and by `with:`/, hint: /leave/ },
  { name: 'resuming from an output that is none', text: `${head}stages:\n  t:\n    uses: train\n    in: { images: ./x }\n    matrix:\n      axes: { seed: [1, 2] }\n      halving: { metric: loss, mode: min, param: steps, rungs: [1, 2], keep: 1, resume: { resume: «modle» } }\n`, code: 'unknown-output', message: /`modle`/, hint: /did you mean `model`/ },
];

/** Takes the marks out; gives where they were. */
function unmark(text: string): { readonly text: string; readonly line: number; readonly column: number; readonly length: number } | null {
  const start = text.indexOf('«');
  if (start < 0) return null;
  const end = text.indexOf('»');
  const before = text.slice(0, start).split('\n');
  return { text: text.replace('«', '').replace('»', ''), line: before.length, column: before.at(-1)!.length + 1, length: end - start - 1 };
}

describe('invalid files', () => {
  test.each(cases)('$name', async ({ text, code, message, hint, file, files, ...settings }) => {
    const marked = unmark(file === undefined ? text : files![file]!)!;
    const others = file === undefined ? files : { ...files, [file]: marked.text };
    const found = await mistakes(file === undefined ? marked.text : text, { ...settings, files: others });
    expect(found.map(d => `${d.code}: ${d.message}`)).toEqual([expect.stringContaining(`${code}: `)]);
    const [diagnostic] = found;
    expect(diagnostic!.message).toMatch(message);
    expect(diagnostic!.position).toMatchObject({ line: marked.line, column: marked.column, length: marked.length });
    expect(diagnostic!.position!.file.endsWith(file ?? 'pipe.yaml')).toBe(true);
    // Every mistake says what to write instead.
    if (hint === null) expect(diagnostic!.hint).toMatch(/\S/);
    else expect(diagnostic!.hint).toMatch(hint);
  });

  test('a bracket left open is one mistake, not one for each line after it', async () => {
    const later = Array.from({ length: 20 }, (_, i) => `  s${i}:\n    run: echo ${i}\n    out: { o: o.txt }\n`).join('');
    const found = await mistakes(`${head}stages:\n  first: [\n    run: echo\n${later}`);
    expect(found).toHaveLength(1);
  });

  test('there are more than thirty of them', () => expect(cases.length).toBeGreaterThan(30));
});
