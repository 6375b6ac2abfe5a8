/** Checks the shape of one file with the schema and says what is wrong in the words of the file. */
import type { z } from 'zod';
import type { Json, JsonObject } from '../json.ts';
import { pipelineJsonSchema } from './json-schema.ts';
import type { Problems } from './problems.ts';
import { namePattern, pipelineFileSchema } from './schema.ts';
import type { PipelineFile, StageYaml } from './schema.ts';
import { childPointer } from './source-file.ts';
import { closest, suggestion } from './suggest.ts';
import { isMap } from './values.ts';

export interface CheckedStage {
  /** Null when its shape is so wrong that nothing more can be said about it. */
  readonly yaml: StageYaml | null;
  /** As written, with keys in their order. */
  readonly raw: JsonObject;
  /** Keys that `yaml` lacks because what they hold was wrong. */
  readonly broken: ReadonlySet<string>;
}

export interface CheckedFile {
  readonly header: Omit<PipelineFile, 'stages'>;
  readonly stages: ReadonlyMap<string, CheckedStage>;
}

type Issue = z.core.$ZodIssue;

const keptOnMistake: readonly (keyof PipelineFile)[] = ['pipeline', 'title', 'include', 'params', 'profiles', 'report'];

/** Notes every mistake of shape; what is sound of the file is returned, so that the rest of it can be checked too. */
export function checkShape(file: string, value: Json, problems: Problems): CheckedFile {
  const raw = isMap(value) ? value : {};
  const first = pipelineFileSchema.safeParse(value);
  if (first.success) return assemble(first.data, raw, new Map());
  const issues = noteIssues(file, value, first.error.issues, problems, { describe: describePath, schema: pipelineJsonSchema });
  // Unknown keys are dropped and broken pieces left out, then what remains must be sound.
  const copy = JSON.parse(JSON.stringify(raw)) as Record<string, Json>;
  for (const issue of issues) if (issue.code === 'unrecognized_keys') for (const key of issue.keys) drop(copy, [...issue.path, key]);
  const broken = new Map<string, Set<string>>();
  const pruned = pipelineFileSchema.safeParse(copy);
  if (pruned.success) return assemble(pruned.data, raw, broken);
  for (const issue of pruned.error.issues) {
    if (issue.path[0] === 'stages' && issue.path.length > 2) leaveOut(copy, issue.path.map(String), broken);
    else if (issue.path[0] !== 'stages' && issue.path.length > 0) delete copy[String(issue.path[0])];
  }
  const sound = pipelineFileSchema.safeParse(copy);
  if (sound.success) return assemble(sound.data, raw, broken);
  const hopeless = new Set(sound.error.issues.map(issue => (issue.path[0] === 'stages' ? String(issue.path[1]) : '')));
  copy.stages = Object.fromEntries(Object.entries(isMap(copy.stages) ? copy.stages : {}).filter(([name]) => !hopeless.has(name)));
  const rest = pipelineFileSchema.safeParse(Object.fromEntries(Object.entries(copy).filter(([key]) => key === 'stages' || keptOnMistake.some(k => k === key))));
  return assemble(rest.success ? rest.data : {}, raw, broken);
}

/** How a kind of file speaks of its places, and which keys it knows. */
export interface FileWords {
  readonly describe: (path: readonly string[]) => string;
  readonly schema: () => JsonObject;
}

/** Notes what zod found; of a union the branch that was most likely meant. Returns the issues that were noted. */
export function noteIssues(file: string, value: Json, found: readonly Issue[], problems: Problems, words: FileWords): Issue[] {
  const issues = found.flatMap(issue => flatten(issue, valueAt(value, issue.path)));
  for (const issue of issues) noteIssue(file, value, issue, problems, words);
  return issues;
}

/** Takes a wrong setting out of a stage, so that the rest of it can be checked. */
function leaveOut(copy: Record<string, Json>, [, stage = '', key = '', entry]: readonly string[], broken: Map<string, Set<string>>): void {
  const settings = valueAt(copy, ['stages', stage]);
  if (!isMap(settings)) return;
  const inner = settings[key];
  if ((key === 'in' || key === 'out') && entry !== undefined && isMap(inner)) {
    // An output with a wrong form still has its name, which others refer to.
    if (key === 'out' && namePattern.test(entry)) (inner as Record<string, Json>)[entry] = entry;
    else drop(copy, ['stages', stage, key, entry]);
    return;
  }
  drop(copy, ['stages', stage, key]);
  const keys = broken.get(stage) ?? new Set();
  broken.set(stage, keys.add(key));
}

function assemble(data: PipelineFile, raw: JsonObject, broken: ReadonlyMap<string, ReadonlySet<string>>): CheckedFile {
  const { stages, ...header } = data;
  const written = isMap(raw.stages) ? raw.stages : {};
  const checked = new Map<string, CheckedStage>();
  for (const [name, stage] of Object.entries(written)) {
    checked.set(name, { yaml: stages?.[name] ?? null, raw: isMap(stage) ? stage : {}, broken: broken.get(name) ?? new Set() });
  }
  return { header, stages: checked };
}

function valueAt(value: Json, path: readonly PropertyKey[]): Json {
  let at: Json | undefined = value;
  for (const step of path) {
    if (at === null || typeof at !== 'object') return null;
    at = (at as Readonly<Record<string, Json>>)[String(step)];
  }
  return at ?? null;
}

function drop(value: Record<string, Json>, path: readonly PropertyKey[]): void {
  const parent = valueAt(value, path.slice(0, -1));
  if (isMap(parent)) delete (parent as Record<string, Json>)[String(path.at(-1))];
}

/** Of a union, the branch that the writer most likely meant speaks. */
function flatten(issue: Issue, value: Json): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const ranked = issue.errors
    .filter(branch => !branch.some(isOtherType))
    .map(branch => ({ branch, misses: misses(branch, value) }))
    .sort((a, b) => a.misses - b.misses);
  const best = ranked[0];
  if (!best || (ranked[1] && ranked[1].misses === best.misses && ranked.length > 1 && best.branch.every(i => i.path.length === 0))) return [issue];
  return best.branch.flatMap(inner => flatten({ ...inner, path: [...issue.path, ...inner.path] } as Issue, valueAt(value, inner.path)));
}

/** Whether the value is of another type than the branch wants, so that the writer cannot have meant it. */
function isOtherType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.every(branch => branch.some(isOtherType));
  return issue.code === 'invalid_type' || issue.code === 'invalid_format';
}

/** How far a branch is from fitting: unknown keys and missing keys count, a wrong value of a known key counts less. */
function misses(branch: readonly Issue[], value: Json): number {
  return branch.reduce((sum, issue) => {
    if (issue.code === 'unrecognized_keys') return sum + issue.keys.length * 2;
    const missing = issue.code === 'invalid_type' && valueAt(value, issue.path) === null;
    return sum + (missing ? 2 : 1);
  }, 0);
}

function noteIssue(file: string, value: Json, issue: Issue, problems: Problems, { describe, schema }: FileWords): void {
  const path = issue.path.map(String);
  const pointer = path.reduce((so, step) => childPointer(so, step), '');
  const name = path.length === 0 ? 'the file' : `\`${nameOf(path)}\``;
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      problems.add({
        code: 'unknown-key', message: `\`${key}\` is not a key of ${describe(path)}`,
        at: { kind: 'file', file, pointer: childPointer(pointer, key), part: 'key' },
        hint: suggestion(key, knownKeys(path, schema), 'keys here are'),
      });
    }
    return;
  }
  if (issue.code === 'invalid_key') {
    problems.add({
      code: 'bad-name', message: `${name} is no name: letters, digits, _ and - only, and no digit first`,
      at: { kind: 'file', file, pointer, part: 'key' }, hint: nameHint(path.at(-1) ?? ''),
    });
    return;
  }
  const given = valueAt(value, path);
  const expected = expectation(issue);
  const missing = given === null && !hasKey(value, path);
  problems.add({
    code: missing ? 'missing-key' : 'wrong-type',
    message: missing ? `${describe(path.slice(0, -1))} needs ${name}: ${expected}` : `${name} must be ${expected}, not ${describeValue(given)}`,
    at: { kind: 'file', file, pointer, part: missing ? 'key' : 'value' },
    hint: missing ? `add ${name}` : given === null ? `write a value for ${name}, or leave the key out` : meantWord(given, issue) ?? exampleOf(path, schema),
  });
}

/** The last key; an item of a list by the list and its place in it. */
function nameOf(path: readonly string[]): string {
  const items = path.findLastIndex(step => !/^\d+$/.test(step));
  return `${path[items] ?? ''}${path.slice(items + 1).map(step => `[${step}]`).join('')}`;
}

/** Of the words that could stand there, the one that was probably meant. */
function meantWord(given: Json, issue: Issue): string | null {
  if (typeof given !== 'string') return null;
  const meant = closest(given, wordsOf(issue));
  return meant === null ? null : `did you mean \`${meant}\`?`;
}

/** A name that is allowed and looks like what was written. */
function nameHint(written: string): string {
  const name = written.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^[^A-Za-z]+|-+$/g, '');
  return name === '' ? 'for example `train`' : `for example \`${name}\``;
}

/** What the schema says of a place, for editors and for whoever wrote something else there. */
function exampleOf(path: readonly string[], schema: () => JsonObject): string | null {
  for (const node of nodesAt(path, schema)) if (typeof node.description === 'string') return `${nameOf(path)}: ${node.description}`;
  return path.length > 1 ? exampleOf(path.slice(0, -1), schema) : null;
}

function wordsOf(issue: Issue): string[] {
  if (issue.code === 'invalid_value') return issue.values.map(String);
  return issue.code === 'invalid_union' ? issue.errors.flat().flatMap(wordsOf) : [];
}

function hasKey(value: Json, path: readonly string[]): boolean {
  const parent = valueAt(value, path.slice(0, -1));
  return path.length === 0 || (parent !== null && typeof parent === 'object' && Object.hasOwn(parent, path.at(-1)!));
}

function describePath(path: readonly string[]): string {
  if (path.length === 0) return 'a pipeline file';
  if (path[0] === 'stages' && path.length === 2) return `stage \`${path[1]}\``;
  return `\`${path.filter((_, index) => !(path[0] === 'stages' && index < 2)).join('.')}\``;
}

export function describeValue(value: Json): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return value.length > 40 ? 'a text' : `the text ${JSON.stringify(value)}`;
  return `${typeof value === 'number' ? 'the number ' : ''}${String(value)}`;
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false', object: 'a map', record: 'a map', array: 'a list', tuple: 'a list', null: 'nothing',
};

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'array' ? `a list of at least ${issue.minimum}` : `at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array' ? `a list of at most ${issue.maximum}` : `at most ${issue.maximum}`;
    case 'invalid_format':
      return issue.pattern?.includes('\\$\\{') ? 'a template' : 'a name of letters, digits, _ and -, no digit first';
    case 'invalid_union':
      return unionExpectation(issue);
    default:
      return issue.message;
  }
}

function unionExpectation(issue: Issue & { code: 'invalid_union' }): string {
  const words = new Set<string>();
  for (const branch of issue.errors) {
    const own = branch.find(inner => inner.path.length === 0) ?? branch[0];
    if (!own) continue;
    if (own.code === 'unrecognized_keys') words.add('a map of known keys');
    else if (own.path.length === 0) words.add(expectation(own));
    else words.add('a map');
  }
  // A template fits nearly everywhere, so naming it would be noise.
  words.delete('a template');
  if (words.size > 1) words.delete('a text');
  return [...words].join(' or ') || 'something else';
}

/** Keys that the schema knows at a path of the file, from the JSON Schema, which is made only when something is wrong. */
function knownKeys(path: readonly string[], schema: () => JsonObject): string[] {
  return [...new Set(nodesAt(path, schema).flatMap(alternatives).flatMap(node => (isMap(node.properties) ? Object.keys(node.properties) : [])))];
}

function nodesAt(path: readonly string[], schema: () => JsonObject): JsonObject[] {
  let nodes: JsonObject[] = [schema()];
  for (const step of path) nodes = nodes.flatMap(alternatives).flatMap(node => stepInto(node, step));
  return nodes;
}

function alternatives(node: JsonObject): JsonObject[] {
  const branches = node.anyOf ?? node.oneOf;
  return Array.isArray(branches) ? (branches as JsonObject[]).flatMap(alternatives) : [node];
}

function stepInto(node: JsonObject, step: string): JsonObject[] {
  const own = (node.properties as JsonObject | undefined)?.[step] ?? node.additionalProperties ?? node.items;
  return isMap(own) ? [own] : [];
}
