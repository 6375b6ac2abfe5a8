/**
 * A small pipeline with all that a commit has to do: a folder output, a temporary one, a checkpoint, a matrix, a gather,
 * a file and a folder published. What it makes is text about one word, so that what a clean build makes for any word is
 * known from one clean build.
 */
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from '../../../src/runner/store/measure-output.ts';
import type { Artefact } from '../../../src/runner/store/model.ts';
import { openStore } from '../../../src/runner/store/store.ts';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';
import { processesOf } from './processes.ts';

/** `hold` is put into the checkpointed stage before its last step. */
export const lifePipeline = (hold = ':'): string => `pipeline: p
stages:
  split:
    run: |
      mkdir -p \${out.d}/sub
      w=$(cat \${in.word}); i=0
      while [ $i -lt 100 ]; do echo "$i $w" > \${out.d}/$i.txt; i=$((i + 1)); done
      echo "$w below" > \${out.d}/sub/last.txt
    in: { word: ./word.txt }
    out: { d: parts/ }
  scratch:
    run: cat \${in.d}/*.txt \${in.d}/sub/last.txt > \${out.o}
    in: { d: split.d }
    out: { o: { path: scratch.txt, temp: true } }
  each:
    matrix: { axes: { n: [1, 2, 3] } }
    run: |
      grep "\${matrix.n}" \${in.o} > \${out.o}
      echo '{"metric":"lines","value":'$(wc -l < \${out.o})'}' >> "$PIPE_EVENTS"
    in: { o: scratch.o }
    out: { o: found.txt }
  count:
    run: |
      cd "$PIPE_CHECKPOINT"
      step=0; [ -e state ] && step=$(wc -l < state) && echo '{"resumed":'$step'}' >> "$PIPE_EVENTS"
      while [ $step -lt 5 ]; do
        step=$((step + 1))
        { [ -e state ] && cat state; echo "$step $(cat \${in.word})"; } > next; mv next state
        [ $step -eq 3 ] && { ${hold}; } || true
      done
      cp state \${out.o}
    in: { word: ./word.txt }
    checkpoint: true
    out: { o: count.txt }
  join:
    run: |
      cat \${in.parts} \${in.count} > \${out.all}
      mkdir -p \${out.pages}/inner; cp \${in.count} \${out.pages}/inner/count.txt; echo "$(cat \${in.count} | wc -l)" > \${out.pages}/lines.txt
    in: { parts: "each[*].o", count: count.o }
    out: { all: all.txt, pages: pages/ }
    publish: { all: results/all.txt, pages: results/pages }
`;

/** Number of cells. */
export const lifeCells = 7;

export const makeLife = (word: string, hold?: string): TestProject => makeProject({ 'pipe.yaml': lifePipeline(hold), 'word.txt': `${word}\n` });

/** What people see: files of `cache/out` and of the project, by path, hidden ones left out. A temporary output is not among them. */
export function visible(project: TestProject): Record<string, string> {
  const files: Record<string, string> = {};
  const look = (path: string, shown: string): void => {
    const real = lstatSync(path).isSymbolicLink() ? join(path, '..', readlinkSync(path)) : path;
    if (!existsSync(real)) files[shown] = 'a link to nothing';
    else if (lstatSync(real).isDirectory()) for (const name of readdirSync(real).sort().filter(other => !other.startsWith('.'))) look(join(path, name), `${shown}/${name}`);
    else files[shown] = readFileSync(path, 'utf8');
  };
  for (const place of ['cache/out/p', 'results']) if (existsSync(project.path(place))) look(project.path(place), place);
  return files;
}

/** What a clean build makes of a word, learned once from a real one. */
export class CleanBuild {
  readonly #files: Readonly<Record<string, string>>;

  constructor() {
    const project = makeLife(sample);
    const { code, stderr } = project.pipe(['run']);
    this.#files = visible(project);
    project.remove();
    if (code !== 0 || Object.keys(this.#files).length !== 111) throw new Error(`no clean build: ${stderr}${Object.keys(this.#files).join('\n')}`);
  }

  of(word: string): Record<string, string> {
    return Object.fromEntries(Object.entries(this.#files).map(([path, text]) => [path, text.replaceAll(sample, word)]));
  }
}

/** Without digits: the stages look for those. */
const sample = 'SAMPLE';

/**
 * What is wrong in a cache that no run is using: records that name what is not there or is not what its digest says,
 * leases, attempts without an end, processes, folders and files that are half of something.
 */
export function troubles(project: TestProject): string[] {
  const found = [...blobTroubles(project)];
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  try {
    const rows = (sql: string): string[] => store.database.prepare(sql).all().map(row => JSON.stringify(row));
    found.push(...rows('SELECT * FROM lease').map(row => `a lease: ${row}`));
    found.push(...rows(`SELECT id, cell FROM attempt WHERE status = 'running'`).map(row => `an attempt that runs: ${row}`));
    found.push(...rows('PRAGMA integrity_check').filter(row => !row.includes('"ok"')));
    found.push(...rows('PRAGMA foreign_key_check').map(row => `a row without its owner: ${row}`));
    found.push(...rows('SELECT * FROM checkpoint').map(row => `a checkpoint: ${row}`));
  } finally {
    store.close();
  }
  for (const folder of ['work', 'checkpoints']) found.push(...names(project.path('cache', folder)).map(name => `left in ${folder}: ${name}`));
  found.push(...names(project.path('cache/artefacts')).filter(name => name.startsWith('.')).map(name => `left in artefacts: ${name}`));
  found.push(...hidden(project.path('cache/out')), ...hidden(project.path('results')));
  found.push(...processesOf(project.folder).map(process => `a process: ${process}`));
  return found;
}

/** Records against files, both ways that matter: what a record names is there, unless it was dropped as temporary, and is what it is called. */
export function blobTroubles(project: TestProject): string[] {
  if (!existsSync(project.path('cache/pipe.db'))) return [];
  const found: string[] = [];
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  try {
    const dropped = new Set(store.artefacts.list().filter(({ state }) => state === 'dropped').map(({ digest }) => digest));
    for (const { outputs } of store.database.prepare<[], { outputs: string }>('SELECT outputs FROM record').all()) {
      for (const { digest, name } of Object.values(JSON.parse(outputs) as Record<string, Artefact>)) {
        if (dropped.has(digest)) continue;
        const path = store.artefacts.pathOf({ digest, name });
        if (!existsSync(path)) found.push(`a record names what is not there: ${path}`);
        else if (measure(path, name).artefact.digest !== digest) found.push(`not what its digest says: ${path}`);
      }
    }
  } finally {
    store.close();
  }
  return found;
}

/** Whether outputs were being taken in: some are half-way, or there and not yet in any record. */
export function isMidCommit(project: TestProject): boolean {
  const there = names(project.path('cache/artefacts'));
  if (there.some(name => name.startsWith('.'))) return true;
  if (!existsSync(project.path('cache/pipe.db'))) return false;
  const store = openStore({ cache: project.path('cache'), mode: 'read' });
  try {
    const named = store.database.prepare<[], { outputs: string }>('SELECT outputs FROM record').all().map(({ outputs }) => outputs).join();
    return there.some(digest => !named.includes(digest));
  } finally {
    store.close();
  }
}

function hidden(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return (readdirSync(folder, { recursive: true }) as string[]).filter(path => path.split('/').at(-1)!.startsWith('.')).map(path => `left in ${folder}: ${path}`);
}

const names = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
