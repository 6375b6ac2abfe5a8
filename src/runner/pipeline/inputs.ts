/** `in:` → edges: which stages an input names, whether their kinds fit, and which cells each cell reads. */
import { statSync } from 'node:fs';
import { isAbsolute, join, posix } from 'node:path';
import type { Json, JsonObject } from '../json.ts';
import type { ArtefactKind, InputKind } from '../../stage.ts';
import { formatAxisValue } from './cell-id.ts';
import { compileValue, placeOf } from './compile.ts';
import type { Compiled, Scope } from './compile.ts';
import { requireStage } from './lookup.ts';
import type { StageTable } from './lookup.ts';
import type { CellInput, Origin, Point } from './model.ts';
import { pointKey } from './per-axes.ts';
import { isPathText, parseReference, referenceForm } from './reference.ts';
import type { Reference } from './reference.ts';
import { termMatches } from './selection.ts';
import { childPointer } from './source-file.ts';
import type { ExpandedStage, StageState } from './stage-state.ts';
import { listNames, suggestion } from './suggest.ts';
import { formatInSelection, formatInText, hasTemplate, lookUp, parseTemplate } from './template.ts';
import { isList, isMap } from './values.ts';

/** What one input of a stage names, once alternatives are chosen. */
export type ResolvedInput =
  | { readonly kind: 'reference'; readonly name: string; readonly pointer: string; readonly producer: StageState; readonly reference: Reference; readonly origins: readonly Origin[] }
  | { readonly kind: 'path'; readonly name: string; readonly pointer: string; readonly text: string; readonly origins: readonly Origin[] };

type Candidate = { readonly pointer: string; readonly text: string; readonly origins: readonly Origin[] };

/** Reads `in:` of a stage. Every mistake that can be seen without cells is noted; inputs with one are left out. */
export function resolveInputs(stage: StageState, scope: Scope, stages: StageTable, root: string): ResolvedInput[] {
  const inputs: ResolvedInput[] = [];
  for (const [name, written] of isMap(stage.raw.in) ? Object.entries(stage.raw.in) : []) {
    if (stage.yaml?.in?.[name] === undefined) continue; // of a wrong form, which was noted
    const pointer = childPointer(`${stage.pointer}/in`, name);
    const kind = stage.inputKinds?.[name];
    if (stage.inputKinds && kind === undefined) {
      scope.problems.add({
        code: 'unknown-input', message: `\`${stage.module?.uses ?? stage.name}\` takes no input \`${name}\``, at: { kind: 'file', file: stage.file, pointer, part: 'key' },
        hint: suggestion(name, Object.keys(stage.inputKinds), 'inputs are') ?? 'it takes none',
      });
    }
    const resolved = resolveInput(name, written, pointer, kind?.endsWith('?') === true, stage, scope, stages);
    if (!resolved) continue;
    inputs.push(resolved);
    if (kind !== undefined) checkKind(resolved, kind, scope, root);
  }
  return inputs;
}

/** An input that may be left out is left out where it comes from stages that are not active, or is a param that is null. */
function resolveInput(name: string, written: Json, pointer: string, optional: boolean, stage: StageState, scope: Scope, stages: StageTable): ResolvedInput | null {
  const list = isList(written) ? written.map((item, index) => ({ item, pointer: childPointer(pointer, index) })) : [{ item: written, pointer }];
  const inactive: string[] = [];
  let chosen: ResolvedInput | null = null;
  let broken = false;
  for (const { item, pointer: at } of list) {
    if (optional && isNullParam(String(item), scope)) continue;
    const option = resolveOne(name, String(item), at, stage, scope, stages);
    if (!option) broken = true;
    else if (option.kind === 'reference' && option.producer.inactive !== null) inactive.push(option.producer.name);
    else chosen ??= option;
  }
  if (chosen || broken || stage.inactive !== null) return chosen;
  if (list.length === 0) note(scope, pointer, 'wrong-type', `input \`${name}\` has an empty list`, 'name a reference or a path');
  else if (!optional) {
    const reasons = inactive.map(one => `\`${one}\` (when: ${stages.get(one)?.inactive ?? ''})`).join(', ');
    note(scope, pointer, 'inactive-stage', `input \`${name}\` comes from ${inactive.length > 1 ? 'stages that are' : 'a stage that is'} not active: ${reasons}`, 'give a list, of which the first active one counts, or the same `when:` to this stage');
  }
  return null;
}

/** Whether a text is one template that names a param without a value. */
function isNullParam(text: string, scope: Scope): boolean {
  const [part, ...more] = hasTemplate(text) ? parseTemplate(text).parts.filter(each => each !== '') : [];
  if (part === undefined || typeof part === 'string' || part.root !== 'params' || more.length > 0) return false;
  const found = lookUp(scope.params.values, part);
  return !('message' in found) && found.value === null;
}

function note(scope: Scope, pointer: string, code: string, message: string, hint: string | null): void {
  scope.problems.add({ code, message, hint, at: placeOf(scope, pointer) });
}

function resolveOne(name: string, text: string, pointer: string, stage: StageState, scope: Scope, stages: StageTable): ResolvedInput | null {
  const candidate = fillParams(text, pointer, scope);
  if (!candidate) return null;
  if (isPathText(candidate.text)) {
    return { kind: 'path', name, pointer, text, origins: candidate.origins };
  }
  const reference = parseReference(candidate.text);
  if (typeof reference === 'string') {
    note(scope, pointer, 'bad-reference', reference, referenceForm);
    return null;
  }
  const producer = requireStage(reference.stage, stage, stages, placeOf(scope, pointer, reference.stage), scope.problems, fileHint(reference));
  if (!producer) return null;
  if (producer.outputs && !Object.hasOwn(producer.outputs, reference.output)) {
    scope.problems.add({
      code: 'unknown-output', message: `stage \`${producer.name}\` has no output \`${reference.output}\``, at: placeOf(scope, pointer, reference.output, true),
      hint: suggestion(reference.output, Object.keys(producer.outputs), 'outputs are') ?? 'it has none',
    });
    return null;
  }
  return { kind: 'reference', name, pointer, producer, reference, origins: candidate.origins };
}

/** `data.csv` reads as the output `csv` of a stage `data`. */
function fileHint(reference: Reference): string | null {
  return reference.selection === null && reference.output.length <= 5 ? `for a file of the project write ./${reference.text}` : null;
}

/** Fills in params of a reference; what names the matrix stays, as it differs from cell to cell. */
function fillParams(text: string, pointer: string, scope: Scope): Candidate | null {
  const origins: Origin[] = [{ kind: 'file', file: scope.file, pointer }];
  if (!hasTemplate(text)) return { pointer, text, origins };
  const { parts, mistakes } = parseTemplate(text);
  for (const mistake of mistakes) scope.problems.add({ ...mistake, at: placeOf(scope, pointer, mistake.text) });
  if (mistakes.length > 0) return null;
  let result = '';
  for (const part of parts) {
    if (typeof part === 'string') result += part;
    else if (isPathText(result) && part.root !== 'params') continue; // paths take the matrix anywhere; filled in for each cell
    else if (part.root === 'params') {
      const found = lookUp(scope.params.values, part);
      if ('message' in found) {
        scope.problems.add({ ...found, at: placeOf(scope, pointer, part.text) });
        return null;
      }
      origins.push(...scope.params.origins(part.path));
      const text = result.includes('[') && !result.includes(']') ? formatInSelection(found.value) : formatInText(found.value);
      if (text === null) {
        scope.problems.add({ code: 'template-in-text', message: `${part.text} is no text, as a reference has to be`, at: placeOf(scope, pointer, part.text), hint: 'name a param that holds a text' });
        return null;
      }
      result += text;
    } else if (part.root === 'matrix' && result.includes('[') && !result.includes(']')) result += part.text;
    else {
      scope.problems.add({ code: 'bad-template', message: `${part.text} cannot stand here: a reference takes params, and the matrix inside its brackets`, at: placeOf(scope, pointer, part.text), hint: 'for example "train[size=${matrix.size}].model"' });
      return null;
    }
  }
  return { pointer, text: result, origins };
}

function checkKind(input: ResolvedInput, kind: InputKind, scope: Scope, root: string): void {
  const base = kind.replace(/\?|\[\]/, '') as ArtefactKind;
  const wantsList = kind.endsWith('[]');
  if (input.kind === 'path') {
    if (input.text.includes('${matrix.')) return;
    const path = String(compileValue(input.text, input.pointer, scope).fill({}));
    if (wantsList) note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes a gather, not a path`, 'write stage[*].output');
    else if (isGlob(path)) note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes one ${base}, a glob gives a list`, `name one ${base}`);
    else {
      const stat = statSync(isAbsolute(path) ? path : join(root, path), { throwIfNoEntry: false });
      if (stat && stat.isDirectory() !== (base === 'folder')) note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes a ${base}, but ${path} is a ${stat.isDirectory() ? 'folder' : 'file'}`, base === 'folder' ? 'name the folder that holds it' : 'name a file in it');
    }
    return;
  }
  const { reference, producer } = input;
  const gathers = reference.selection?.all ?? false;
  if (gathers && !wantsList) note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes one ${base}, not a gather`, `write ${reference.stage}.${reference.output}, or name one cell in the brackets`);
  if (!gathers && wantsList) note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes a gather`, `write ${reference.stage}[*].${reference.output}`);
  const given = producer.outputs?.[reference.output]?.kind ?? 'any';
  const fits = given === 'any' || given === base || (given === 'metrics' && base === 'file');
  if (!fits) {
    const others = Object.entries(producer.outputs ?? {}).filter(([, output]) => output.kind === base).map(([name]) => `${reference.stage}.${name}`);
    note(scope, input.pointer, 'kind-mismatch', `input \`${input.name}\` takes a ${base}, but ${reference.stage}.${reference.output} is a ${given}`, others.length > 0 ? `of that kind: ${listNames(others)}` : null);
  }
}

export function isGlob(path: string): boolean {
  return /[*?{[]/.test(path);
}

/** Inputs of cells, by point. `axes` are those of the consumer. */
export type InputFinder = (point: Point) => CellInput | null;

export function inputFinder(input: ResolvedInput, axes: readonly string[], how: { readonly partial: boolean; readonly optional: boolean }, scope: Scope): InputFinder | null {
  return input.kind === 'path' ? pathFinder(compileValue(input.text, input.pointer, { ...scope, axes })) : referenceFinder(input, axes, how, scope);
}

function pathFinder(compiled: Compiled): InputFinder {
  const make = (point: Point): CellInput => {
    const path = String(compiled.fill(point));
    return { kind: 'path', path: isAbsolute(path) ? path : posix.normalize(path), glob: isGlob(path) };
  };
  if (!compiled.constant) return make;
  const input = make({});
  return () => input;
}

/** Cells of a stage by the values of some of its axes: built once, so that joins are linear. */
export function cellsBy(stage: ExpandedStage, axes: readonly string[]): Map<string, number[]> {
  const id = axes.join(',');
  const known = stage.indexes.get(id);
  if (known) return known;
  const index = new Map<string, number[]>();
  for (const [offset, point] of stage.matrix.points.entries()) {
    const key = pointKey(point, axes);
    const list = index.get(key);
    if (list) list.push(stage.first + offset);
    else index.set(key, [stage.first + offset]);
  }
  stage.indexes.set(id, index);
  return index;
}

function cellsByPoint(stage: ExpandedStage): ReadonlyMap<Point, number> {
  return (stage.byPoint ??= new Map(stage.matrix.points.map((point, offset) => [point, stage.first + offset])));
}

function referenceFinder(input: ResolvedInput & { kind: 'reference' }, axes: readonly string[], { partial, optional }: { readonly partial: boolean; readonly optional: boolean }, scope: Scope): InputFinder | null {
  const producer = input.producer.expanded;
  if (!producer) return null;
  const { reference } = input;
  const pins = readPins(input, producer, axes, scope);
  if (!pins) return null;
  const gathers = reference.selection?.all ?? false;
  const joined = gathers ? [] : producer.matrix.axes.filter(axis => !pins.has(axis));
  const lacking = joined.filter(axis => !axes.includes(axis));
  if (lacking.length > 0) {
    const choices = lacking.map(axis => `${axis}: ${listNames(valuesOf(producer, axis))}`).join('; ');
    note(scope, input.pointer, 'ambiguous-reference', `\`${reference.text}\` does not say which cell: this stage has no axis ${lacking.map(axis => `\`${axis}\``).join(', ')}`,
      `choose (${choices}), gather with ${reference.stage}[*].${reference.output}, or follow it with \`each: ${reference.stage}\``);
    return null;
  }
  const keyAxes = [...pins.keys(), ...joined];
  let index: ReadonlyMap<string, readonly number[]> | null = null;
  // Brackets that follow the matrix say for which cells there is such an input, where it may be left out.
  const followed = optional ? (input.reference.selection?.terms ?? []).flatMap(({ axis, text }) => (hasTemplate(text) ? [axis!] : [])) : [];
  const known = new Map(followed.map(axis => [axis, new Set(valuesOf(producer, axis))]));
  const leftOut = (point: Point): boolean => followed.some(axis => !known.get(axis)!.has(formatAxisValue(pins.get(axis)!(point))));
  const memo = new Map<string, CellInput>();
  const samePoints = !gathers && pins.size === 0 && joined.length > 0 ? cellsByPoint(producer) : null;
  return point => {
    const same = samePoints?.get(point);
    if (same !== undefined) return { kind: 'output', cell: same, output: reference.output };
    let key = '';
    for (const pin of pins.values()) key += `${formatAxisValue(pin(point))}\u0000`;
    key += pointKey(point, joined);
    const found = memo.get(key);
    if (found) return found;
    const cells = (index ??= cellsBy(producer, keyAxes)).get(key);
    if (!cells) {
      if (leftOut(point)) return null;
      const wanted = keyAxes.map((axis, position) => `${axis}=${key.split('\u0000')[position]!}`).join(',');
      note(scope, input.pointer, 'no-such-cell', `\`${input.producer.name}\` has no cell [${wanted}]`, `its axes have the values ${producer.matrix.axes.map(axis => `${axis}: ${listNames(valuesOf(producer, axis))}`).join('; ')}; points that are left out there must be left out here, as \`each:\` does`);
      return null;
    }
    const made: CellInput = gathers
      ? { kind: 'gather', output: reference.output, items: cells.map(cell => ({ cell, point: producer.matrix.points[cell - producer.first]! })), partial }
      : { kind: 'output', cell: cells[0]!, output: reference.output };
    memo.set(key, made);
    return made;
  };
}

function valuesOf(stage: ExpandedStage, axis: string): string[] {
  return [...new Set(stage.matrix.points.map(point => formatAxisValue(point[axis]!)))];
}

/** What the brackets of a reference fix: axis → its value, which may follow the consumer's point. */
function readPins(input: ResolvedInput & { kind: 'reference' }, producer: ExpandedStage, axes: readonly string[], scope: Scope): Map<string, (point: Point) => Json> | null {
  const pins = new Map<string, (point: Point) => Json>();
  let sound = true;
  for (const term of input.reference.selection?.terms ?? []) {
    const axis = term.axis!;
    if (!producer.matrix.axes.includes(axis)) {
      scope.problems.add({ code: 'unknown-axis', message: `stage \`${input.producer.name}\` has no axis \`${axis}\``, at: placeOf(scope, input.pointer, axis), hint: suggestion(axis, producer.matrix.axes, 'axes are') ?? 'it has no matrix' });
      sound = false;
    } else if (hasTemplate(term.text)) {
      const compiled = compileValue(term.text, input.pointer, { ...scope, axes });
      pins.set(axis, point => compiled.fill(point));
    } else {
      const value = producer.matrix.points.find(point => termMatches(term, point[axis]!))?.[axis];
      if (value === undefined) {
        scope.problems.add({ code: 'no-such-cell', message: `axis \`${axis}\` of stage \`${input.producer.name}\` has no value ${term.text}`, at: placeOf(scope, input.pointer, term.text), hint: suggestion(term.text, valuesOf(producer, axis), 'values are') });
        sound = false;
      } else pins.set(axis, () => value);
    }
  }
  return sound ? pins : null;
}
