/** What a cell depends on, part by part. The two keys differ only in how inputs made by other cells are named. */
import { isAbsolute, join, relative } from 'node:path';
import { stageApi } from '../../stage.ts';
import { PipeError } from '../diagnostic.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Cell, CellGraph, CellSettings } from '../pipeline/model.ts';
import type { Artefact, Manifest, ManifestPart } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { TreeNodes } from '../store/tree-nodes.ts';
import { baseOfStage } from './catalogue-paths.ts';
import type { Closure } from './closure.ts';
import { loadClosureSync } from './closure-cache.ts';
import { encodeOnce, sortParts } from './key.ts';
import { readPathInput } from './path-inputs.ts';
import type { PathContent, PathInput } from './path-inputs.ts';

/** Facts about the machine; those that a stage lists under `platform:` are part of its key. */
export interface PlatformFacts {
  /** Identity of the tensor backend, such as `wasm 4.22.0`. */
  readonly backend: string;
  /** Processor threads of this machine; a key holds the number a cell is given, which is its `cpu`. */
  readonly threads: string;
  /** `linux-x64`. */
  readonly os: string;
  /** The version text of an interpreter that a stage names, such as `Python 3.11.2`. Throws PipeError when there is none. */
  readonly interpreters: (command: string) => string;
  /** What the hosts file declares of another place where cells run. */
  readonly elsewhere?: (on: string) => ElsewhereFacts;
}

export interface ElsewhereFacts {
  /** The host's name and the file that declares it, for messages. */
  readonly name: string;
  readonly file: string;
  readonly backend: string | null;
  readonly os: string | null;
  readonly interpreters: Readonly<Record<string, string>>;
}

/** What an input made by another cell is, for one of the two keys. */
export type OtherCells = (cell: number, output: string) => Json;

export interface ManifestContext {
  readonly graph: CellGraph;
  readonly store: Store;
  readonly platform: PlatformFacts;
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads files at most once: one for each plan, and a new one whenever the present state counts. */
export class ManifestReader {
  readonly #context: ManifestContext;
  readonly #closures = new Map<string, Closure>();
  readonly #paths = new Map<string, PathContent>();
  readonly #settings = new Map<CellSettings, readonly ManifestPart[]>();
  readonly #interpreters = new Map<string, string>();
  readonly #shared = new WeakMap<object, JsonObject>();
  /** Of each param the value that it had last. */
  readonly #lastParams = new Map<string, Json>();
  /** Nodes of the folders and globs that were read. */
  readonly nodes = new TreeNodes();

  constructor(context: ManifestContext) {
    this.#context = context;
  }

  closureOf(cell: Cell): Closure | null {
    if (cell.action.kind !== 'module') return null;
    const { file } = cell.action;
    let closure = this.#closures.get(file);
    if (closure === undefined) {
      const { graph, packageRoot, store } = this.#context;
      closure = loadClosureSync({ entry: file, base: baseOfStage(file, { root: graph.root, packageRoot }), packageRoot, cache: store.cache });
      encodeOnce(closure.code);
      encodeOnce(closure.packages);
      this.#closures.set(file, closure);
    }
    return closure;
  }

  pathInput(input: PathInput): PathContent {
    const id = `${input.glob ? 'g' : 'p'}${input.path}`;
    let content = this.#paths.get(id);
    if (content === undefined) {
      content = readPathInput(input, this.#context.graph.root, this.#context.store.stats, this.nodes);
      this.#paths.set(id, content);
    } else encodeOnce(content.value);
    return content;
  }

  /** Throws what keeps a cell from having a key whatever its inputs are: code that cannot be keyed, a fact that no host declares. */
  checkKeyable(cell: Cell): void {
    this.closureOf(cell);
    this.#settingsParts(cell.settings);
    if (cell.action.kind === 'shell' && cell.action.interpreter !== null) this.#interpreter(cell.action.interpreter, cell.settings.on);
  }

  /** Inputs that are project files by content, those from other cells as `other` says. */
  manifest(cell: Cell, other: OtherCells): Manifest {
    const parts: ManifestPart[] = [];
    this.#addAction(cell, parts);
    for (const part of this.#settingsParts(cell.settings)) parts.push(part);
    parts.push({ part: 'out', value: this.#outputs(cell) });
    for (const name in cell.with) {
      const value = cell.with[name]!;
      if (typeof value === 'object' && value !== null) this.#noteParam(name, value);
      parts.push({ part: partName('with.', name), value });
    }
    for (const name in cell.inputs) {
      const input = cell.inputs[name]!;
      const part = partName('in.', name);
      if (input.kind === 'path') parts.push({ part, value: this.pathInput(input).value });
      else if (input.kind === 'output') parts.push({ part, value: other(input.cell, input.output) });
      else parts.push({ part, value: input.items.map(({ cell: item, point }) => ({ point, from: other(item, input.output) })) });
    }
    return finishManifest(parts, cell.settings.ignore);
  }

  /** A list or map that the cell before had as well, most likely all cells of the stage have. */
  #noteParam(name: string, value: Json): void {
    if (this.#lastParams.get(name) === value) encodeOnce(value);
    else this.#lastParams.set(name, value);
  }

  #addAction(cell: Cell, parts: ManifestPart[]): void {
    const { action } = cell;
    if (action.kind === 'decision') {
      parts.push({ part: 'decision', value: this.#share(action, () => ({ metric: action.metric, mode: action.mode, keep: action.keep, members: action.members })) });
    } else if (action.kind === 'module') {
      const closure = this.closureOf(cell)!;
      parts.push({ part: 'code', value: closure.code }, { part: 'packages', value: closure.packages }, { part: 'stage-api', value: stageApi });
    } else {
      parts.push({ part: 'run', value: this.#share(action, () => ({ argv: action.argv, command: action.command as Json })) });
      if (action.interpreter !== null) parts.push({ part: 'interpreter', value: this.#interpreter(action.interpreter, cell.settings.on) });
    }
  }

  #settingsParts(settings: CellSettings): readonly ManifestPart[] {
    let parts = this.#settings.get(settings);
    if (parts === undefined) {
      const { environment, platform } = this.#context;
      const there = settings.on === 'local' ? null : (platform.elsewhere?.(settings.on) ?? null);
      const facts: Readonly<Record<string, string | null>> = { backend: platform.backend, os: platform.os, ...(there === null ? {} : { backend: there.backend, os: there.os }), threads: String(settings.resources.cpu) };
      const undeclared = there === null ? undefined : settings.platform.find(name => (facts[name] ?? null) === null);
      if (there !== null && undeclared !== undefined) throw undeclaredFact(there, `platform: { ${undeclared}: … }`, `\`${undeclared}\``);
      parts = [
        ...settings.env.pass.map(name => ({ part: `env.${name}`, value: environment[name] ?? null })),
        ...Object.entries(settings.env.set).map(([name, value]) => ({ part: `env.${name}`, value })),
        ...settings.platform.map(name => ({ part: `platform.${name}`, value: facts[name] ?? null })),
      ];
      this.#settings.set(settings, parts);
    }
    return parts;
  }

  #outputs(cell: Cell): JsonObject {
    return this.#share(cell.outputs, () => Object.fromEntries(Object.entries(cell.outputs).map(([name, { kind, path }]) => [name, { kind, path }])));
  }

  #interpreter(command: string, on: string): string {
    const there = on === 'local' ? undefined : this.#context.platform.elsewhere?.(on);
    if (there !== undefined) {
      const declared = there.interpreters[command];
      if (declared === undefined) throw undeclaredFact(there, `interpreters: { ${command}: … }`, `the version of \`${command}\``);
      return declared;
    }
    let version = this.#interpreters.get(command);
    if (version === undefined) {
      version = this.#context.platform.interpreters(command);
      this.#interpreters.set(command, version);
    }
    return version;
  }

  /** One value for one object, so that it is encoded once for all cells that share it. */
  #share(owner: object, make: () => JsonObject): JsonObject {
    let value = this.#shared.get(owner);
    if (value === undefined) {
      value = make();
      this.#shared.set(owner, value);
    } else encodeOnce(value);
    return value;
  }
}

/** There are few names and many cells. */
const partNames = new Map<string, Map<string, string>>();

function partName(prefix: 'with.' | 'in.', name: string): string {
  let names = partNames.get(prefix);
  if (names === undefined) partNames.set(prefix, (names = new Map()));
  let part = names.get(name);
  if (part === undefined) names.set(name, (part = prefix + name));
  return part;
}

function undeclaredFact({ name, file }: ElsewhereFacts, write: string, what: string): PipeError {
  return new PipeError(`${what} of the host ${name} belongs in a key, and ${file} does not declare it`, {
    exitCode: 2, code: 'undeclared-fact', hint: `write \`${write}\` for ${name} in ${file}, as it is there`,
  });
}

/** Sorted, with the parts that the stage ignores marked; a nested one is taken out of its part. */
export function finishManifest(parts: ManifestPart[], ignore: readonly string[]): Manifest {
  if (ignore.length === 0) return sortParts(parts);
  let marked = parts;
  for (const name of ignore) marked = marked.flatMap(part => withoutIgnored(part, name));
  return sortParts(marked);
}

function withoutIgnored(part: ManifestPart, name: string): ManifestPart[] {
  if (part.ignored === true) return [part];
  if (part.part === name) return [{ ...part, ignored: true }];
  if (!name.startsWith(`${part.part}.`)) return [part];
  const taken = take(part.value, name.slice(part.part.length + 1).split('.'));
  if (taken === null) return [part];
  return [{ part: part.part, value: taken.rest }, { part: name, value: taken.value, ignored: true }];
}

function take(value: Json, path: readonly string[]): { readonly rest: Json; readonly value: Json } | null {
  const [key, ...deeper] = path;
  if (key === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const map = value as JsonObject;
  if (!Object.hasOwn(map, key)) return null;
  if (deeper.length === 0) {
    const { [key]: taken, ...rest } = map;
    return { rest, value: taken! };
  }
  const inner = take(map[key]!, deeper);
  return inner === null ? null : { rest: { ...map, [key]: inner.rest }, value: inner.value };
}

/** How an input's artefact goes into an action key: its digest covers name, type, executable bit and content. */
export function artefactValue(artefact: Artefact): Json {
  return { digest: artefact.digest };
}

/** For messages: a path inside the project without the project. */
export function shownInProject(path: string, root: string): string {
  const short = relative(root, isAbsolute(path) ? path : join(root, path));
  return short.startsWith('..') ? path : `./${short}`;
}
