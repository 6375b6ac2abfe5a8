/** Values with templates, checked once a stage and filled in once a cell; what does not depend on the matrix is filled in once. */
import type { Json, JsonObject } from '../json.ts';
import type { Origin, Point } from './model.ts';
import type { ParamSet } from './params.ts';
import type { FilePlace, Problems } from './problems.ts';
import { childPointer } from './source-file.ts';
import { formatInText, hasTemplate, lookUp, parseTemplate } from './template.ts';
import type { TemplateExpression, TemplateMistake } from './template.ts';
import { isList, isMap, setOwn } from './values.ts';

/** What a template of one stage can name. */
export interface Scope {
  readonly file: string;
  readonly params: ParamSet;
  /** Names of the stage's axes; null where `matrix.*` has no meaning; `unknown` where a mistake keeps them from being known. */
  readonly axes: readonly string[] | null | 'unknown';
  readonly stage: string;
  readonly problems: Problems;
}

export interface Compiled {
  /** The same for every cell. */
  readonly constant: boolean;
  /** The value of one cell; the same object each time when `constant`. */
  readonly fill: (point: Point) => Json;
  /** Where it was written, and the params it uses. */
  readonly origins: readonly Origin[];
  /** Axes that it uses. */
  readonly axes: ReadonlySet<string>;
}

const noAxes: ReadonlySet<string> = new Set();

export function noteMistake(scope: Scope, pointer: string, mistake: TemplateMistake): void {
  scope.problems.add({ code: mistake.code, message: mistake.message, hint: mistake.hint, at: placeOf(scope, pointer, mistake.text) });
}

export function placeOf(scope: Scope, pointer: string, text?: string, last?: boolean): FilePlace {
  return { kind: 'file', file: scope.file, pointer, text, last };
}

/** Checks the templates of a value and gives what fills them in. Mistakes are noted; their value is null. */
export function compileValue(value: Json, pointer: string, scope: Scope): Compiled {
  const origin: Origin = { kind: 'file', file: scope.file, pointer };
  if (typeof value === 'string' && hasTemplate(value)) return compileText(value, pointer, scope);
  if (isList(value)) return compileList(value, pointer, scope, origin);
  if (isMap(value)) return compileMap(value, pointer, scope, origin);
  return { constant: true, fill: () => value, origins: [origin], axes: noAxes };
}

function compileList(list: readonly Json[], pointer: string, scope: Scope, origin: Origin): Compiled {
  const items = list.map((item, index) => compileValue(item, childPointer(pointer, index), scope));
  return combine(items, point => items.map(item => item.fill(point)), origin);
}

function compileMap(map: JsonObject, pointer: string, scope: Scope, origin: Origin): Compiled {
  const entries = Object.entries(map).map(([key, inner]) => [key, compileValue(inner, childPointer(pointer, key), scope)] as const);
  const fill = (point: Point): Json => {
    const result: Record<string, Json> = {};
    for (const [key, item] of entries) setOwn(result, key, item.fill(point));
    return result;
  };
  return combine(entries.map(([, item]) => item), fill, origin);
}

function combine(items: readonly Compiled[], fill: (point: Point) => Json, origin: Origin): Compiled {
  const used = items.flatMap(item => item.origins.slice(1));
  const axes = new Set(items.flatMap(item => [...item.axes]));
  if (!items.every(item => item.constant)) return { constant: false, fill, origins: [origin, ...used], axes };
  const value = fill({});
  return { constant: true, fill: () => value, origins: [origin, ...used], axes };
}

function compileText(text: string, pointer: string, scope: Scope): Compiled {
  const { parts, mistakes } = parseTemplate(text);
  for (const mistake of mistakes) noteMistake(scope, pointer, mistake);
  const origins: Origin[] = [{ kind: 'file', file: scope.file, pointer }];
  const axes = new Set<string>();
  const pieces = parts.map(part => (typeof part === 'string' ? part : compileExpression(part, pointer, scope, origins, axes)));
  const whole = pieces.length === 1 && typeof parts[0] !== 'string';
  const fill = (point: Point): Json => {
    if (whole) return (pieces[0] as (point: Point) => Json)(point);
    let result = '';
    for (const [index, piece] of pieces.entries()) {
      if (typeof piece === 'string') result += piece;
      else result += inText(piece(point), parts[index] as TemplateExpression, pointer, scope);
    }
    return result;
  };
  if (axes.size > 0) return { constant: false, fill, origins, axes };
  const value = fill({});
  return { constant: true, fill: () => value, origins, axes };
}

function inText(value: Json, expression: TemplateExpression, pointer: string, scope: Scope): string {
  const formatted = formatInText(value);
  if (formatted !== null) return formatted;
  if (value !== null) {
    noteMistake(scope, pointer, {
      code: 'template-in-text', message: `${expression.text} is a ${isList(value) ? 'list' : 'map'}, which has no form inside a text`, text: expression.text,
      hint: 'a template that is the whole value keeps its type',
    });
  }
  return value === null ? 'null' : '';
}

/** Gives what fills in one expression; what it uses is added to `origins` and `axes`. */
export function compileExpression(expression: TemplateExpression, pointer: string, scope: Scope, origins: Origin[], axes: Set<string>): (point: Point) => Json {
  const nothing = (): Json => null;
  switch (expression.root) {
    case 'params': {
      const found = lookUp(scope.params.values, expression);
      if ('message' in found) {
        noteMistake(scope, pointer, found);
        return nothing;
      }
      origins.push(...scope.params.origins(expression.path));
      return () => found.value;
    }
    case 'matrix': {
      const axis = expression.path[0]!;
      if (scope.axes === null) {
        noteMistake(scope, pointer, { code: 'bad-template', message: `${expression.text} has no value here: the matrix is not made yet`, text: expression.text, hint: 'use params here' });
        return nothing;
      }
      if (scope.axes === 'unknown') {
        axes.add(axis);
        return nothing;
      }
      if (!scope.axes.includes(axis)) {
        const known = Object.fromEntries(scope.axes.map(name => [name, null]));
        const mistake = lookUp(known, expression);
        if ('message' in mistake) noteMistake(scope, pointer, mistake);
        return nothing;
      }
      axes.add(axis);
      if (expression.path.length === 1) return point => point[axis] ?? null;
      return point => {
        const found = lookUp(point, expression);
        if (!('message' in found)) return found.value;
        noteMistake(scope, pointer, found);
        return null;
      };
    }
    case 'stage': {
      if (expression.path.join('.') === 'name') return () => scope.stage;
      noteMistake(scope, pointer, { code: 'bad-template', message: `${expression.text} is not known: a stage has a name only`, text: expression.text, hint: 'did you mean `${stage.name}`?' });
      return nothing;
    }
    default:
      noteMistake(scope, pointer, {
        code: 'bad-template', message: `${expression.text} is a path that is known when the command runs: it can stand in \`run:\` only`, text: expression.text, hint: 'hand it to the command in `run:`',
      });
      return nothing;
  }
}
