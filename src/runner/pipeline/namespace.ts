/** Pipelines and parts: what `include:` brings together. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Json } from '../json.ts';
import { checkShape } from './check-shape.ts';
import type { CheckedFile, CheckedStage } from './check-shape.ts';
import type { Place, Problems } from './problems.ts';
import { childPointer, parseSource } from './source-file.ts';
import { readValue, reportSyntax } from './source-value.ts';
import { isMap } from './values.ts';

export interface LoadedFile extends CheckedFile {
  readonly file: string;
  readonly raw: Json;
}

export interface NamespaceStage extends CheckedStage {
  /** As written in its file. */
  readonly shortName: string;
  readonly file: string;
}

/** A pipeline with the parts that it includes: params, profiles and stages of one set of names. */
export interface Namespace {
  readonly name: string;
  /** Empty for the pipeline that was asked for, else `scaling/`. */
  readonly prefix: string;
  /** The pipeline's own file, then its parts. */
  readonly files: readonly LoadedFile[];
  /** By short name. */
  readonly stages: ReadonlyMap<string, NamespaceStage>;
  /** Names of the pipelines that it includes, directly or through others. */
  readonly visible: ReadonlySet<string>;
}

interface Draft {
  readonly name: string;
  readonly files: LoadedFile[];
  readonly includes: Set<string>;
}

/** Reads a pipeline and all that it includes. The first namespace is the pipeline that was asked for. */
export function readNamespaces(file: string, problems: Problems): Namespace[] {
  const reader = new NamespaceReader(problems);
  const root = reader.file(file, null);
  if (!root) return [];
  reader.pipeline(root);
  // Names that a broken file would have declared must not be called unknown: its own mistakes come first.
  if (reader.incomplete) problems.throwIfAny();
  return reader.finish();
}

class NamespaceReader {
  incomplete = false;
  readonly #problems: Problems;
  readonly #files = new Map<string, LoadedFile | null>();
  readonly #drafts = new Map<string, Draft>();
  readonly #open: string[] = [];

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  file(path: string, included: Place | null): LoadedFile | null {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const loaded = this.#read(path, included);
    if (!loaded) this.incomplete = true;
    this.#files.set(path, loaded);
    return loaded;
  }

  #read(path: string, included: Place | null): LoadedFile | null {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : `cannot be read: ${(error as Error).message}`;
      this.#problems.add({
        code: 'missing-file', message: `${path} ${reason}`, at: included ?? { kind: 'command-line', text: path },
        hint: included ? 'paths under `include:` are relative to the file that holds them' : null,
      });
      return null;
    }
    const source = parseSource(path, text.replace(/^\uFEFF/, ''));
    this.#problems.sources.set(path, source);
    reportSyntax(source, this.#problems);
    if (source.document.errors.length > 0) return null;
    const raw = readValue(source, this.#problems);
    if (!isMap(raw)) {
      this.#problems.add({
        code: 'wrong-type', message: raw === null ? 'the file is empty' : 'a pipeline file is a map', at: { kind: 'file', file: path, pointer: '' },
        hint: 'begin with `pipeline: NAME` and `stages:`',
      });
      return null;
    }
    return { file: path, raw, ...checkShape(path, raw, this.#problems) };
  }

  pipeline(loaded: LoadedFile): void {
    if (!isPipeline(loaded)) {
      this.#problems.add({
        code: 'missing-key', message: 'this file is a part: it has no `pipeline:` name', at: { kind: 'file', file: loaded.file, pointer: '' },
        hint: 'add `pipeline: NAME`, or run the pipeline that includes it',
      });
    }
    const draft: Draft = { name: loaded.header.pipeline ?? '', files: [], includes: new Set() };
    this.#drafts.set(loaded.file, draft);
    this.#open.push(loaded.file);
    this.#join(loaded, draft);
    this.#open.pop();
  }

  #join(loaded: LoadedFile, draft: Draft): void {
    draft.files.push(loaded);
    for (const [index, name] of (loaded.header.include ?? []).entries()) {
      const at: Place = { kind: 'file', file: loaded.file, pointer: childPointer('/include', index) };
      const path = resolve(dirname(loaded.file), name);
      const other = this.file(path, at);
      if (!other) continue;
      if (!isPipeline(other)) {
        if (!draft.files.includes(other)) this.#join(other, draft);
        continue;
      }
      draft.includes.add(other.file);
      if (this.#open.includes(path)) {
        const cycle = [...this.#open.slice(this.#open.indexOf(path)), path].map(file => this.#files.get(file)?.header.pipeline ?? file);
        this.#problems.add({ code: 'include-cycle', message: `pipelines include each other: ${cycle.join(' → ')}`, at, hint: 'move what both need into a part' });
      } else if (!this.#drafts.has(path)) this.pipeline(other);
    }
  }

  finish(): Namespace[] {
    const byName = new Map<string, LoadedFile>();
    const result: Namespace[] = [];
    for (const [file, draft] of this.#drafts) {
      const own = draft.files[0]!;
      const twin = byName.get(draft.name);
      if (twin) {
        this.#problems.add({
          code: 'duplicate-name', message: `two pipelines are called \`${draft.name}\``, at: { kind: 'file', file, pointer: '/pipeline' },
          related: [{ message: 'the other one', at: { kind: 'file', file: twin.file, pointer: '/pipeline' } }], hint: 'rename one of them',
        });
      }
      byName.set(draft.name, own);
      result.push({
        name: draft.name, prefix: result.length === 0 ? '' : `${draft.name}/`, files: draft.files,
        stages: this.#stages(draft), visible: this.#visible(draft),
      });
    }
    return result;
  }

  #visible(draft: Draft, into = new Set<string>()): Set<string> {
    for (const file of draft.includes) {
      const other = this.#drafts.get(file);
      if (!other || into.has(other.name)) continue;
      into.add(other.name);
      this.#visible(other, into);
    }
    return into;
  }

  #stages(draft: Draft): Map<string, NamespaceStage> {
    const stages = new Map<string, NamespaceStage>();
    for (const loaded of draft.files) {
      for (const [shortName, stage] of loaded.stages) {
        const first = stages.get(shortName);
        const pointer = childPointer('/stages', shortName);
        if (!first) stages.set(shortName, { ...stage, shortName, file: loaded.file });
        else {
          this.#problems.add({
            code: 'duplicate-name', message: `the stage \`${shortName}\` is declared twice`, at: { kind: 'file', file: loaded.file, pointer, part: 'key' },
            related: [{ message: 'first declared here', at: { kind: 'file', file: first.file, pointer, part: 'key' } }], hint: 'rename one of them',
          });
        }
      }
    }
    return stages;
  }
}

function isPipeline(loaded: LoadedFile): boolean {
  return isMap(loaded.raw) && Object.hasOwn(loaded.raw, 'pipeline');
}
