/** Params of one namespace: defaults, then the profile, then `--set`; templates among them filled in; every value knows where it was written. */
import { parseDocument } from 'yaml';
import type { Json, JsonObject } from '../json.ts';
import type { Origin } from './model.ts';
import type { Namespace } from './namespace.ts';
import type { Place, Problems } from './problems.ts';
import { childPointer, splitPointer } from './source-file.ts';
import { suggestion } from './suggest.ts';
import { formatInText, hasTemplate, lookUp, parseTemplate } from './template.ts';
import type { TemplateExpression } from './template.ts';
import { holdsNul, isList, isMap, nulMistake, setOwn } from './values.ts';

type FileOrigin = Origin & { readonly kind: 'file' };

export class ParamSet {
  /** Values as they stand, templates filled in. */
  values: JsonObject = {};
  readonly #problems: Problems;
  #written: JsonObject = {};
  /** Pointer of a leaf (anything but a map) → where it was written. */
  readonly #origins = new Map<string, Origin>();
  /** Pointer of a leaf → params that its template names. */
  readonly #uses = new Map<string, TemplateExpression[]>();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  declare(name: string, value: Json, origin: FileOrigin): void {
    const copy = { ...this.#written };
    setOwn(copy, name, value);
    this.#written = copy;
    this.#record(childPointer('', name), value, origin);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#written, name);
  }

  names(): string[] {
    return Object.keys(this.#written);
  }

  originOf(name: string): Origin | null {
    return this.#origins.get(childPointer('', name)) ?? null;
  }

  /** Checks that a profile or `--set` names declared params only; `apply` also takes its values. */
  override(patch: JsonObject, origin: Origin, apply: boolean): void {
    const merged = this.#merge(this.#written, patch, '', origin, apply);
    if (apply) this.#written = merged;
  }

  #merge(into: JsonObject, patch: JsonObject, pointer: string, origin: Origin, apply: boolean): JsonObject {
    const result: Record<string, Json> = { ...into };
    for (const [key, value] of Object.entries(patch)) {
      const here = childPointer(pointer, key);
      const from: Origin = origin.kind === 'file' ? { ...origin, pointer: childPointer(origin.pointer, key) } : origin;
      if (!Object.hasOwn(into, key)) {
        this.#problems.add({
          code: 'unknown-param', message: `no param is called \`${splitPointer(here).join('.')}\`${from.kind === 'command-line' ? ` (${from.text})` : ''}`,
          at: from.kind === 'file' ? { ...from, part: 'key' } : from,
          hint: suggestion(key, Object.keys(into), 'declared are') ?? 'declare it under `params:` with a default',
        });
        continue;
      }
      const old = into[key];
      if (isMap(old) && isMap(value) && Object.keys(old).length > 0) setOwn(result, key, this.#merge(old, value, here, from, apply));
      else {
        setOwn(result, key, value);
        if (apply) this.#record(here, value, from);
      }
    }
    return result;
  }

  #record(pointer: string, value: Json, origin: Origin): void {
    for (const known of [...this.#origins.keys()]) if (known === pointer || known.startsWith(`${pointer}/`)) this.#origins.delete(known);
    this.#recordLeaves(pointer, value, origin);
  }

  #recordLeaves(pointer: string, value: Json, origin: Origin): void {
    this.#origins.set(pointer, origin);
    if (!isMap(value)) return;
    for (const [key, inner] of Object.entries(value)) {
      this.#recordLeaves(childPointer(pointer, key), inner, origin.kind === 'file' ? { ...origin, pointer: childPointer(origin.pointer, key) } : origin);
    }
  }

  /** Fills in templates of params that name other params; cycles are mistakes. */
  settle(): void {
    const done = new Map<string, Json>();
    const open: string[] = [];
    const settle = (value: Json, pointer: string): Json => {
      const known = done.get(pointer);
      if (known !== undefined) return known;
      let settled: Json = value;
      if (isMap(value)) {
        const map: Record<string, Json> = {};
        for (const [key, inner] of Object.entries(value)) setOwn(map, key, settle(inner, childPointer(pointer, key)));
        settled = map;
      } else if (isList(value)) settled = value.map((inner, index) => settle(inner, childPointer(pointer, index)));
      else if (typeof value === 'string' && hasTemplate(value)) settled = fill(value, pointer);
      done.set(pointer, settled);
      return settled;
    };
    const fill = (text: string, pointer: string): Json => {
      const at = this.#place(pointer);
      if (open.includes(pointer)) {
        const names = [...open.slice(open.indexOf(pointer)), pointer].map(one => splitPointer(one).join('.'));
        this.#problems.add({ code: 'param-cycle', message: `params name each other: ${names.join(' → ')}`, at, hint: 'give one of them a value of its own' });
        return null;
      }
      open.push(pointer);
      const { parts, mistakes } = parseTemplate(text);
      for (const mistake of mistakes) this.#problems.add({ ...mistake, at: { ...at, text: mistake.text } });
      const values = parts.map(part => (typeof part === 'string' ? part : this.#settleExpression(part, pointer, settle)));
      open.pop();
      if (mistakes.length > 0) return null;
      if (parts.length === 1) return values[0]!;
      return values.map(value => formatInText(value) ?? '').join('');
    };
    this.values = settle(this.#written, '') as JsonObject;
  }

  #settleExpression(expression: TemplateExpression, pointer: string, settle: (value: Json, pointer: string) => Json): Json {
    const at: Place = { ...this.#place(pointer), text: expression.text };
    if (expression.root !== 'params') {
      this.#problems.add({ code: 'bad-template', message: `a param can only name other params, not ${expression.text}`, at });
      return null;
    }
    this.#uses.set(pointer, [...(this.#uses.get(pointer) ?? []), expression]);
    let value: Json = this.#written;
    let here = '';
    for (const [index, step] of expression.path.entries()) {
      const found = lookUp(value, { ...expression, path: [step] });
      if ('message' in found) {
        const so = expression.path.slice(0, index);
        this.#problems.add({ ...found, message: so.length > 0 ? found.message.replace('params', ['params', ...so].join('.')) : found.message, at });
        return null;
      }
      here = childPointer(here, step);
      value = typeof found.value === 'string' ? settle(found.value, here) : found.value;
    }
    return settle(value, here);
  }

  #place(pointer: string): Place {
    const steps = splitPointer(pointer);
    for (let length = steps.length; length > 0; length--) {
      const origin = this.#origins.get(steps.slice(0, length).reduce(childPointer, ''));
      if (origin?.kind === 'file') return { ...origin, pointer: steps.slice(length).reduce(childPointer, origin.pointer) };
      if (origin) return origin;
    }
    return { kind: 'command-line', text: '' };
  }

  /** Where the value of `${params.a.b}` was written: itself, what lies under it, and the params that it names in turn. */
  origins(path: readonly string[]): Origin[] {
    const pointer = path.reduce(childPointer, '');
    const exact = this.#origins.get(pointer);
    const found: Origin[] = [];
    if (!exact) found.push(this.#place(pointer));
    else if (isMap(lookUpQuietly(this.#written, path))) for (const [known, origin] of this.#origins) {
      if (known.startsWith(`${pointer}/`) && !isMap(lookUpQuietly(this.#written, splitPointer(known)))) found.push(origin);
    }
    if (exact && found.length === 0) found.push(exact);
    for (const [user, expressions] of this.#uses) {
      if (user === pointer || user.startsWith(`${pointer}/`) || pointer.startsWith(`${user}/`)) {
        for (const expression of expressions) if (expression.path.join('.') !== path.join('.')) found.push(...this.origins(expression.path));
      }
    }
    return [...new Map(found.map(origin => [JSON.stringify(origin), origin])).values()];
  }
}

function lookUpQuietly(value: Json, path: readonly string[]): Json | undefined {
  let at: Json | undefined = value;
  for (const step of path) at = isMap(at) ? at[step] : undefined;
  return at;
}

/** Params of every namespace, with the profile and `--set` applied. */
export function readParams(namespaces: readonly Namespace[], profile: string | null, set: readonly string[], problems: Problems): Map<string, ParamSet> {
  const sets = new Map<string, ParamSet>();
  const profiles = new Set<string>();
  for (const namespace of namespaces) {
    const params = new ParamSet(problems);
    sets.set(namespace.name, params);
    declareParams(namespace, params, problems);
    applyProfiles(namespace, params, profile, profiles, problems);
  }
  if (profile !== null && !profiles.has(profile)) {
    problems.add({
      code: 'unknown-profile', message: `no profile is called \`${profile}\``, at: { kind: 'command-line', text: `--profile ${profile}` },
      hint: suggestion(profile, [...profiles], 'there are') ?? 'the pipeline has no profiles',
    });
  }
  const root = sets.get(namespaces[0]?.name ?? '');
  if (root) for (const entry of set) applySet(entry, root, sets, namespaces, problems);
  for (const params of sets.values()) params.settle();
  return sets;
}

function declareParams(namespace: Namespace, params: ParamSet, problems: Problems): void {
  for (const loaded of namespace.files) {
    for (const [name, value] of Object.entries((loaded.header.params ?? {}) as JsonObject)) {
      const origin: FileOrigin = { kind: 'file', file: loaded.file, pointer: childPointer('/params', name) };
      const first = params.originOf(name);
      if (first?.kind === 'file') {
        problems.add({
          code: 'duplicate-name', message: `the param \`${name}\` is declared twice`, at: { ...origin, part: 'key' },
          related: [{ message: 'first declared here', at: { ...first, part: 'key' } }], hint: 'keep one; a profile or --set changes its value',
        });
      } else params.declare(name, value, origin);
    }
  }
  if (namespace.prefix !== '') return;
  for (const name of namespace.visible) {
    const own = params.originOf(name);
    if (own?.kind === 'file') {
      problems.add({ code: 'duplicate-name', message: `the param \`${name}\` has the name of an included pipeline, whose params stand under it`, at: { ...own, part: 'key' }, hint: 'rename the param' });
    }
  }
}

function applyProfiles(namespace: Namespace, params: ParamSet, chosen: string | null, seen: Set<string>, problems: Problems): void {
  const writtenIn = new Map<string, FileOrigin>();
  for (const loaded of namespace.files) {
    for (const [name, patch] of Object.entries((loaded.header.profiles ?? {}) as Readonly<Record<string, JsonObject | null>>)) {
      seen.add(name);
      const origin: FileOrigin = { kind: 'file', file: loaded.file, pointer: childPointer('/profiles', name) };
      for (const key of Object.keys(patch ?? {})) {
        const at: FileOrigin = { ...origin, pointer: childPointer(origin.pointer, key) };
        const first = writtenIn.get(`${name} ${key}`);
        if (first) {
          problems.add({
            code: 'duplicate-name', message: `the profile \`${name}\` sets \`${key}\` in two files`, at: { ...at, part: 'key' },
            related: [{ message: 'first set here', at: { ...first, part: 'key' } }], hint: 'keep one',
          });
        }
        writtenIn.set(`${name} ${key}`, at);
      }
      params.override(patch ?? {}, origin, name === chosen);
    }
  }
}

function applySet(entry: string, root: ParamSet, sets: ReadonlyMap<string, ParamSet>, namespaces: readonly Namespace[], problems: Problems): void {
  const at: Origin = { kind: 'command-line', text: `--set ${entry}` };
  const equals = entry.indexOf('=');
  const path = entry.slice(0, Math.max(0, equals)).trim().split('.');
  if (equals < 0 || path.some(step => step === '')) {
    problems.add({ code: 'bad-set', message: `--set ${entry} is not NAME=VALUE`, at, hint: 'for example --set seeds=3 or --set input.resolution=64' });
    return;
  }
  const text = entry.slice(equals + 1);
  const value = text.trim() === '' ? '' : readSetValue(text);
  if (value === undefined) {
    problems.add({ code: 'bad-set', message: `the value in --set ${entry} is not valid YAML`, at, hint: 'quote it: --set \'name="text"\'' });
    return;
  }
  if (holdsNul(value)) {
    problems.add({ ...nulMistake, message: `the value in --set ${entry}: ${nulMistake.message}`, at });
    return;
  }
  const included = namespaces[0]!.visible.has(path[0]!) && !root.has(path[0]!) && path.length > 1;
  const params = included ? sets.get(path[0]!)! : root;
  const steps = included ? path.slice(1) : path;
  const patch = steps.reduceRight<Json>((inner, step) => ({ [step]: inner }), value) as JsonObject;
  params.override(patch, at, true);
}

function readSetValue(text: string): Json | undefined {
  const document = parseDocument(text, { version: '1.2', prettyErrors: false });
  if (document.errors.length > 0 || document.warnings.length > 0) return undefined;
  const value = document.toJS({ maxAliasCount: 0 }) as unknown;
  return isJson(value) ? value : undefined;
}

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'object' && Object.values(value).every(isJson);
}
