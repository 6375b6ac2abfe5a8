/** One stage → its definition and cells. */
import type { JsonObject } from '../json.ts';
import { formatCellId } from './cell-id.ts';
import { compileCommand } from './command.ts';
import type { Command } from './command.ts';
import { compileValue, placeOf } from './compile.ts';
import type { Compiled, Scope } from './compile.ts';
import { decisionCells, memberName, readHalving, rungAxis } from './halving.ts';
import type { Halving } from './halving.ts';
import { inputFinder } from './inputs.ts';
import { publishedPaths } from './publish.ts';
import type { InputFinder, ResolvedInput } from './inputs.ts';
import { findStage } from './lookup.ts';
import type { StageTable } from './lookup.ts';
import { expandMatrix, singlePoint } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import type { Cell, CellAction, CellInput, CommandPart, Origin, Point, StageDefinition } from './model.ts';
import { perAxes } from './per-axes.ts';
import type { Problems } from './problems.ts';
import { compileSettings } from './settings.ts';
import type { SettingsPool } from './settings.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { outputFinder, scopeOf } from './stage-table.ts';
import { isMap } from './values.ts';

export interface Expansion {
  readonly stages: StageDefinition[];
  readonly cells: Cell[];
  /** Raw `with` values of typed stages, to be checked together. */
  readonly checks: ParamsCheck[];
  readonly pool: SettingsPool;
}

/** Cells of one typed stage, whose params are validated once all stages are expanded. */
export interface ParamsCheck {
  readonly stage: StageState;
  readonly first: number;
  readonly count: number;
  /** Where params of the stage were written, by their pointer below `with`. */
  readonly compiled: Compiled;
}

/** Adds a stage's cells to the expansion. `order` is the inputs as resolved; stages that it reads are expanded already. */
export function expandStage(stage: StageState, inputs: readonly ResolvedInput[], stages: StageTable, expansion: Expansion, problems: Problems): void {
  const before = problems.count;
  const yaml = stage.yaml!;
  const base = stage.broken.has('each') ? null : baseMatrix(stage, stages);
  let matrix = base;
  if (isMap(stage.raw.matrix) && !stage.broken.has('matrix')) matrix = expandMatrix(stage.raw.matrix, `${stage.pointer}/matrix`, base ?? singlePoint, scopeOf(stage, problems, null));
  if (!base || !matrix || stage.broken.has('matrix')) return checkWithoutPoints(stage, inputs, expansion.pool, problems);
  let halving: Halving | null = null;
  if (yaml.matrix?.halving) {
    const halved = readHalving(stage, matrix, scopeOf(stage, problems, null));
    if (!halved) return checkWithoutPoints(stage, inputs, expansion.pool, problems);
    ({ halving, matrix } = halved);
  }
  const scope = scopeOf(stage, problems, matrix.axes);
  const origins: Record<string, readonly Origin[]> = {};
  const record: RecordOrigins = (part, compiled) => {
    const axes = [...(compiled.axes ?? [])].flatMap(axis => matrix.origins.get(axis) ?? []);
    origins[part] = [...compiled.origins, ...axes];
  };

  const settings = compileSettings(stage.raw, stage.pointer, scope, expansion.pool, stage.broken);
  Object.assign(origins, settings.origins);
  const params = compileValue((stage.raw.with ?? {}) as JsonObject, `${stage.pointer}/with`, scope);
  const paramsOf = perAxes(params.axes, matrix.axes, point => params.fill(point) as JsonObject);
  if (isMap(stage.raw.with)) recordParams(stage.raw.with, 'with', `${stage.pointer}/with`, scope, record);
  const finders = inputs.flatMap(input => {
    record(`in.${input.name}`, input);
    const find = inputFinder(input, matrix.axes, { partial: yaml.partial ?? false, optional: stage.inputKinds?.[input.name]?.endsWith('?') === true }, scope);
    return find ? [{ name: input.name, find }] : [];
  });
  const outputs = outputFinder(stage, scope);
  for (const name of Object.keys(yaml.out ?? {})) record(`out.${name}`, { origins: [{ kind: 'file', file: stage.file, pointer: childPointer(`${stage.pointer}/out`, name) }] });
  if (halving) {
    record(`with.${halving.param}`, halving);
    for (const input of Object.keys(halving.resume)) record(`in.${input}`, halving);
  }
  const action = actionOf(stage, inputs, halving, scope);
  if (!action) return;
  record(stage.module ? 'uses' : 'run', action);
  if (stage.module) checkRequired(stage, inputs, halving, problems);
  const needs = needsOf(stage, stages);

  const first = expansion.cells.length;
  const stageIndex = expansion.stages.length;
  const decisions = first + matrix.points.length;
  let lastInputs: Record<string, CellInput> = {};
  for (const [offset, point] of matrix.points.entries()) {
    const index = first + offset;
    const rung = halving ? offset % halving.rungs.length : 0;
    const cellInputs = inputsOf(finders, point, halving, index, rung, lastInputs);
    lastInputs = cellInputs;
    expansion.cells.push({
      index, id: formatCellId(stage.name, point), stage: stageIndex, point,
      action: action.fill(point, rung),
      with: withOf(paramsOf(point), halving, point),
      inputs: cellInputs, outputs: outputs.fill(point), needs, settings: settings.fill(point),
      guard: halving && rung > 0 ? { decision: decisions + rung - 1, member: memberName(point) } : null,
    });
  }
  const origin: Origin = { kind: 'file', file: stage.file, pointer: stage.pointer };
  expansion.stages.push({
    name: stage.name, summary: yaml.summary ?? stage.module?.info.summary ?? null, axes: matrix.axes,
    each: yaml.each === undefined ? null : findStage(yaml.each, stage, stages)?.name ?? null,
    needs: (yaml.needs ?? []).flatMap(name => findStage(name, stage, stages) ?? []).filter(before => before.inactive === null).map(before => before.name),
    publish: publishedPaths(stage, scope), first, count: matrix.points.length, origins, origin,
  });
  if (halving) {
    const decideIndex = expansion.stages.length;
    const plain = compileSettings({}, stage.pointer, scope, expansion.pool).fill({});
    expansion.cells.push(...decisionCells(stage, halving, first, decisions, decideIndex, plain));
    expansion.stages.push({
      name: `${stage.name}/decide`, summary: `Names the ${halving.mode === 'min' ? 'least' : 'greatest'} ${halving.metric} of each rung`, axes: [rungAxis], each: null, needs: [], publish: {},
      first: decisions, count: halving.rungs.length - 1, origins: { halving: halving.origins }, origin: { kind: 'file', file: stage.file, pointer: `${stage.pointer}/matrix/halving` },
    });
  }
  if (problems.count > before) return;
  stage.expanded = { matrix, first, indexes: new Map(), byPoint: null };
  if (stage.module) expansion.checks.push({ stage, first, count: matrix.points.length, compiled: params });
}

/** What can be said of a stage whose points are not known, because of a mistake in its matrix or in what it follows. */
function checkWithoutPoints(stage: StageState, inputs: readonly ResolvedInput[], pool: SettingsPool, problems: Problems): void {
  const scope = scopeOf(stage, problems, 'unknown');
  compileSettings(stage.raw, stage.pointer, scope, pool, stage.broken);
  if (!stage.broken.has('with')) compileValue((stage.raw.with ?? {}) as JsonObject, `${stage.pointer}/with`, scope);
  outputFinder(stage, scope);
  actionOf(stage, inputs, null, scope);
}

/** The points of `each:`, or a single one. Null when the producer has a mistake of its own. */
function baseMatrix(stage: StageState, stages: StageTable): Matrix | null {
  if (stage.yaml?.each === undefined) return singlePoint;
  return findStage(stage.yaml.each, stage, stages)?.expanded?.matrix ?? null;
}

type RecordOrigins = (part: string, compiled: { readonly origins: readonly Origin[]; readonly axes?: ReadonlySet<string> }) => void;

function recordParams(map: JsonObject, part: string, pointer: string, scope: Scope, record: RecordOrigins): void {
  for (const [key, value] of Object.entries(map)) {
    const here = childPointer(pointer, key);
    record(`${part}.${key}`, compileValue(value, here, scope));
    if (isMap(value)) recordParams(value, `${part}.${key}`, here, scope, record);
  }
}

function withOf(filled: JsonObject, halving: Halving | null, point: Point): JsonObject {
  return halving ? { ...filled, [halving.param]: point[rungAxis]! } : filled;
}

/** The inputs of the cell before (`last`) where they are the same, which is one object less for thousands of cells. */
function inputsOf(finders: readonly { readonly name: string; readonly find: InputFinder }[], point: Point, halving: Halving | null, index: number, rung: number, last: Record<string, CellInput>): Record<string, CellInput> {
  const inputs: Record<string, CellInput> = {};
  let same = halving === null;
  for (const { name, find } of finders) {
    const input = find(point);
    if (input !== (last[name] ?? null)) same = false;
    if (input) inputs[name] = input;
  }
  if (same) return last;
  // Rungs are the fastest axis, so the rung before is the cell before.
  if (halving && rung > 0) for (const [input, output] of Object.entries(halving.resume)) inputs[input] = { kind: 'output', cell: index - 1, output };
  return inputs;
}

function actionOf(stage: StageState, inputs: readonly ResolvedInput[], halving: Halving | null, scope: Scope): { readonly fill: (point: Point, rung: number) => CellAction; readonly origins: readonly Origin[] } | null {
  const yaml = stage.yaml!;
  if (stage.module) {
    const { uses, file, info } = stage.module;
    const action: CellAction = { kind: 'module', uses, file, inputs: info.inputs };
    return { fill: () => action, origins: [{ kind: 'file', file: stage.file, pointer: `${stage.pointer}/uses` }] };
  }
  if (yaml.run === undefined) return null;
  const resumed = Object.keys(halving?.resume ?? {});
  // Inputs with a mistake are known by name all the same.
  const written = isMap(stage.raw.in) ? stage.raw.in : {};
  const inputNames = [...new Set([...Object.keys(written), ...inputs.map(input => input.name), ...resumed])];
  const names = { inputs: stage.broken.has('in') ? null : inputNames, outputs: stage.broken.has('out') ? null : Object.keys(yaml.out ?? {}) };
  const command = compileCommand(yaml.run, `${stage.pointer}/run`, names, scope);
  const interpreter = yaml.interpreter ?? null;
  const make = (point: Point, rung: number): CellAction => {
    const filled = command.fill(point);
    return { kind: 'shell', command: halving && rung === 0 ? withoutInputs(filled, resumed, command.argv) : filled, argv: command.argv, interpreter };
  };
  if (halving) return { fill: make, origins: command.origins };
  if (!command.constant) return { fill: perAxes(command.axes, scope.axes, point => make(point, 0)), origins: command.origins };
  const shared = make({}, 0);
  return { fill: () => shared, origins: command.origins };
}

/** The first rung has nothing to resume: the input's place in the command is an empty word. */
function withoutInputs(command: Command, names: readonly string[], argv: boolean): Command {
  const strip = (parts: readonly CommandPart[]): CommandPart[] => parts.map(part => (typeof part === 'object' && 'in' in part && names.includes(part.in) ? (argv ? '' : "''") : part));
  return argv ? (command as readonly (readonly CommandPart[])[]).map(strip) : strip(command as readonly CommandPart[]);
}

function checkRequired(stage: StageState, inputs: readonly ResolvedInput[], halving: Halving | null, problems: Problems): void {
  const written = isMap(stage.raw.in) ? stage.raw.in : {};
  for (const [name, kind] of Object.entries(stage.inputKinds ?? {})) {
    if (kind.endsWith('?') || Object.hasOwn(written, name) || inputs.some(input => input.name === name) || halving?.resume[name] !== undefined) continue;
    problems.add({
      code: 'missing-input', message: `stage \`${stage.shortName}\` lacks the input \`${name}\` (${kind}) that \`${stage.module!.uses}\` needs`,
      at: { kind: 'file', file: stage.file, pointer: isMap(stage.raw.in) ? `${stage.pointer}/in` : stage.pointer, part: 'key' },
      hint: `add \`${name}: ${kind.endsWith('[]') ? 'stage[*].output' : 'stage.output'}\` under \`in:\``,
    });
  }
}

function needsOf(stage: StageState, stages: StageTable): readonly number[] {
  const cells: number[] = [];
  for (const name of stage.yaml?.needs ?? []) {
    const producer = findStage(name, stage, stages)?.expanded;
    if (producer) for (let i = 0; i < producer.matrix.points.length; i++) cells.push(producer.first + i);
  }
  return cells;
}
