/** `with:` of typed stages, validated by their own schemas; mistakes point at the YAML. */
import type { Json, JsonObject } from '../json.ts';
import type { ParamsCheck } from './expand-stage.ts';
import type { Cell, ParamsResult, StageCatalogue } from './model.ts';
import type { Place, Problem, Problems } from './problems.ts';
import { childPointer, splitPointer } from './source-file.ts';
import { suggestion } from './suggest.ts';
import { hasTemplate, parseTemplate } from './template.ts';
import { isList, isMap } from './values.ts';

/** Validates the params of all cells, one call for each module, and puts in what the schemas give back (defaults). */
export async function checkParams(checks: readonly ParamsCheck[], cells: Cell[], catalogue: StageCatalogue, problems: Problems): Promise<void> {
  const byModule = new Map<string, ParamsCheck[]>();
  for (const check of checks) {
    const file = check.stage.module!.file;
    const list = byModule.get(file);
    if (list) list.push(check);
    else byModule.set(file, [check]);
  }
  await Promise.all([...byModule].map(async ([file, list]) => {
    // Cells that share one `with` object are checked once, and share the answer.
    const values = new Map<JsonObject, number>();
    for (const { first, count } of list) for (let i = first; i < first + count; i++) if (!values.has(cells[i]!.with)) values.set(cells[i]!.with, values.size);
    const told = new Set(list.filter(check => noteUnknown(check, cells, problems)));
    const results = await catalogue.checkParams(file, [...values.keys()]);
    for (const check of list) apply(check, cells, values, results, told.has(check), problems);
  }));
}

function apply(check: ParamsCheck, cells: Cell[], values: ReadonlyMap<JsonObject, number>, results: readonly ParamsResult[], unknownTold: boolean, problems: Problems): void {
  const failed = new Map<string, { readonly cell: Cell; readonly path: readonly (string | number)[]; readonly message: string; count: number }>();
  for (let i = check.first; i < check.first + check.count; i++) {
    const cell = cells[i]!;
    const result = results[values.get(cell.with)!]!;
    if (result.ok) {
      cells[i] = { ...cell, with: result.value };
      continue;
    }
    for (const { path, message } of result.issues) {
      if (unknownTold && /^Unrecognized key/i.test(message)) continue; // `noteUnknown` has said so, at the key
      const id = JSON.stringify([path, message]);
      const known = failed.get(id);
      if (known) known.count++;
      else failed.set(id, { cell, path, message, count: 1 });
    }
  }
  for (const { cell, path, message, count } of failed.values()) {
    const name = path.length > 0 ? `with.${path.join('.')}` : 'with';
    const several = check.count > 1 ? ` (${cell.id}${count > 1 ? ` and ${count - 1} more` : ''})` : '';
    problems.add({ code: 'bad-param', message: `\`${name}\` of stage \`${check.stage.shortName}\`${several}: ${message}`, ...paramPlace(check, path), hint: schemaHint(check, path, cell) });
  }
}

/** The place of a param in `with:`; when a template gave its value, also where that was written. */
export function paramPlace(check: ParamsCheck, path: readonly (string | number)[]): Pick<Problem, 'at' | 'related'> {
  const { stage } = check;
  const related: { message: string; at: Place }[] = [];
  let at: Json | undefined = stage.raw.with;
  for (const step of path) {
    at = isMap(at) ? at[String(step)] : isList(at) ? at[Number(step)] : undefined;
    if (typeof at !== 'string' || !hasTemplate(at)) continue;
    for (const part of parseTemplate(at).parts) {
      if (typeof part === 'string' || part.root !== 'params') continue;
      const origin = stage.params.origins(part.path)[0];
      if (origin?.kind === 'file') related.push({ message: 'the value comes from here', at: origin });
    }
  }
  const pointer = path.reduce(childPointer, `${stage.pointer}/with`);
  return { at: { kind: 'file', file: stage.file, pointer }, related };
}

function resolveRef(schema: JsonObject, root: JsonObject): JsonObject {
  if (typeof schema.$ref !== 'string') return schema;
  let at: Json | undefined = root;
  for (const step of splitPointer(schema.$ref.replace(/^#/, ''))) at = isMap(at) ? at[step] : undefined;
  return isMap(at) ? at : {};
}

function schemaAt(root: JsonObject, path: readonly (string | number)[]): JsonObject {
  let schema = resolveRef(root, root);
  for (const step of path) {
    const next: Json | undefined = isMap(schema.properties) ? schema.properties[String(step)] : typeof step === 'number' ? schema.items : undefined;
    schema = isMap(next) ? resolveRef(next, root) : {};
  }
  return schema;
}

function schemaHint(check: ParamsCheck, path: readonly (string | number)[], cell: Cell): string | null {
  const schema = schemaAt(check.stage.module!.info.params, path);
  const choices = isList(schema.enum) ? schema.enum.map(String) : [];
  let given: Json | undefined = cell.with;
  for (const step of path) given = isMap(given) ? given[String(step)] : isList(given) ? given[Number(step)] : undefined;
  if (choices.length > 0) return suggestion(String(given), choices, 'valid are');
  if (typeof schema.description === 'string') return schema.description;
  return typeof schema.type === 'string' ? `the stage wants ${shapeText(schema)}` : `see the params in stages/${check.stage.module!.uses}.ts`;
}

/** `an integer of 1 to 10, 4 unless said`. */
function shapeText({ type, minimum, exclusiveMinimum, maximum, exclusiveMaximum, default: otherwise }: JsonObject): string {
  const article = /^[aeio]/.test(String(type)) ? 'an' : 'a';
  const bound = (words: string, value: Json | undefined): string[] => (typeof value === 'number' && Number.isSafeInteger(value) && Math.abs(value) < Number.MAX_SAFE_INTEGER ? [`${words} ${value}`] : []);
  const bounds = [...bound('at least', minimum), ...bound('above', exclusiveMinimum), ...bound('at most', maximum), ...bound('below', exclusiveMaximum)];
  const rest = otherwise === undefined ? '' : `, ${JSON.stringify(otherwise)} unless said`;
  return `${article} ${type === 'object' ? 'map' : type === 'array' ? 'list' : String(type)}${bounds.length > 0 ? ` ${bounds.join(' and ')}` : ''}${rest}`;
}

/** Params that a stage does not have: silently dropped they would be believed to count. Says whether there are any. */
function noteUnknown(check: ParamsCheck, cells: readonly Cell[], problems: Problems): boolean {
  let found = false;
  const root = check.stage.module!.info.params;
  const walk = (value: Json | undefined, schema: JsonObject, path: readonly string[]): void => {
    if (!isMap(value) || !isMap(schema.properties)) return;
    const open = schema.additionalProperties === true || isMap(schema.additionalProperties);
    const known = Object.keys(schema.properties);
    for (const [key, inner] of Object.entries(value)) {
      const own = schema.properties[key];
      if (isMap(own)) walk(inner, resolveRef(own, root), [...path, key]);
      else if (own === undefined && !open) {
        found = true;
        problems.add({
          code: 'unknown-param', message: `\`${check.stage.module!.uses}\` has no param \`${[...path, key].join('.')}\``,
          at: { kind: 'file', file: check.stage.file, pointer: [...path, key].reduce(childPointer, `${check.stage.pointer}/with`), part: 'key' },
          hint: suggestion(key, known, 'params are') ?? 'it takes none',
        });
      }
    }
  };
  walk(cells[check.first]?.with, resolveRef(root, root), []);
  return found;
}
