/**
 * Successive halving: every point of the stage becomes one cell a rung, a decision cell after each rung but the last
 * names the survivors, and only they go on. See docs/language.md.
 */
import type { Json, JsonObject } from '../json.ts';
import { formatAxisValue, formatCellId, formatPoint } from './cell-id.ts';
import { compileValue, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import type { Matrix } from './matrix.ts';
import type { Cell, CellSettings, Origin, Point } from './model.ts';
import { childPointer } from './source-file.ts';
import type { StageState } from './stage-state.ts';
import { suggestion } from './suggest.ts';
import { isList, isMap } from './values.ts';

export const rungAxis = 'rung';

export interface Halving {
  readonly metric: string;
  readonly mode: 'min' | 'max';
  /** The output of kind metrics that is compared. */
  readonly output: string;
  readonly param: string;
  readonly rungs: readonly Json[];
  /** How many cells go on after each rung but the last. */
  readonly keep: readonly number[];
  /** Input of a later rung → output of the rung before. */
  readonly resume: Readonly<Record<string, string>>;
  /** Points before the rungs were added. */
  readonly members: readonly Point[];
  readonly origins: readonly Origin[];
}

/** Checks `matrix.halving` and adds its axis. Null when a mistake was noted. */
export function readHalving(stage: StageState, base: Matrix, scope: Scope): { readonly halving: Halving; readonly matrix: Matrix } | null {
  const before = scope.problems.count;
  const pointer = `${stage.pointer}/matrix/halving`;
  const raw = (stage.raw.matrix as JsonObject).halving as JsonObject;
  const compiled = compileValue(raw, pointer, { ...scope, axes: null });
  const settings = compiled.fill({}) as JsonObject;
  const note = (key: string, code: string, message: string, hint: string | null): void => {
    scope.problems.add({ code, message, hint, at: placeOf(scope, childPointer(pointer, key)) });
  };
  const rungs = isList(settings.rungs) ? settings.rungs : [];
  if (rungs.length < 2) note('rungs', 'bad-halving', '`rungs` must be a list of two values at least', 'for example [100, 300, 900]');
  if (new Set(rungs.map(formatAxisValue)).size < rungs.length) note('rungs', 'duplicate-value', 'a rung is there twice', 'each rung goes further than the one before');
  if (base.axes.includes(rungAxis)) note('rungs', 'duplicate-axis', `halving adds the axis \`${rungAxis}\`, which the matrix has already`, 'rename that axis');
  const param = String(settings.param);
  if (isMap(stage.raw.with) && Object.hasOwn(stage.raw.with, param)) note('param', 'bad-halving', `\`with.${param}\` is set by halving and by \`with:\``, `leave it out of \`with:\``);
  const output = metricsOutput(stage, settings.metrics, note);
  const resume = Object.fromEntries(Object.entries(isMap(settings.resume) ? settings.resume : {}).map(([input, output]) => [input, String(output)]));
  checkResume(stage, resume, scope, pointer);
  const keep = readKeep(settings.keep!, base.points.length, rungs.length, note);
  if (scope.problems.count > before || output === null) return null;
  const points = base.points.flatMap(point => rungs.map(rung => ({ ...point, [rungAxis]: rung })));
  const matrix: Matrix = { axes: [...base.axes, rungAxis], points, origins: new Map([...base.origins, [rungAxis, compiled.origins]]) };
  const halving: Halving = {
    metric: String(settings.metric), mode: settings.mode === 'max' ? 'max' : 'min', output, param, rungs, keep, resume, members: base.points, origins: compiled.origins,
  };
  return { halving, matrix };
}

type Note = (key: string, code: string, message: string, hint: string | null) => void;

function metricsOutput(stage: StageState, named: Json | undefined, note: Note): string | null {
  const outputs = Object.entries(stage.outputs ?? {}).filter(([, output]) => output.kind === 'metrics').map(([name]) => name);
  if (typeof named === 'string') {
    if (outputs.includes(named)) return named;
    note('metrics', 'unknown-output', `the stage has no metrics output \`${named}\``, suggestion(named, outputs, 'of kind metrics are'));
    return null;
  }
  if (outputs.length === 1) return outputs[0]!;
  note('metric', 'bad-halving', outputs.length === 0 ? 'halving compares a metrics output, and the stage has none' : 'the stage has several metrics outputs',
    outputs.length === 0 ? 'declare one: out: { metrics: { path: metrics.jsonl, kind: metrics } }' : `name one with \`metrics:\`: ${outputs.join(', ')}`);
  return null;
}

function checkResume(stage: StageState, resume: Readonly<Record<string, string>>, scope: Scope, pointer: string): void {
  for (const [input, output] of Object.entries(resume)) {
    const here = childPointer(`${pointer}/resume`, input);
    const kind = stage.inputKinds?.[input];
    const add = (code: string, message: string, hint: string | null): void => scope.problems.add({ code, message, hint, at: placeOf(scope, here) });
    if (stage.outputs && !Object.hasOwn(stage.outputs, output)) add('unknown-output', `the stage has no output \`${output}\``, suggestion(output, Object.keys(stage.outputs), 'outputs are'));
    if (isMap(stage.raw.in) && Object.hasOwn(stage.raw.in, input)) add('bad-halving', `the input \`${input}\` is in \`in:\` and in \`resume:\``, 'leave it out of `in:`');
    else if (stage.inputKinds && kind === undefined) add('unknown-input', `the stage takes no input \`${input}\``, suggestion(input, Object.keys(stage.inputKinds), 'inputs are'));
    else if (kind !== undefined && !kind.endsWith('?')) add('kind-mismatch', `the input \`${input}\` is required, but the first rung has nothing to resume`, `declare it as '${kind}?' in the stage`);
  }
}

/** The number that goes on after each rung but the last. */
function readKeep(keep: Json, members: number, rungs: number, note: Note): number[] {
  const decisions = Math.max(0, rungs - 1);
  const list = isList(keep) ? keep : Array.from({ length: decisions }, (_, rung) => (typeof keep === 'number' && keep < 1 ? keep ** (rung + 1) : keep));
  if (list.length !== decisions) {
    note('keep', 'bad-halving', `\`keep\` has ${list.length} numbers for ${decisions} decisions`, 'there is one decision after each rung but the last');
    return [];
  }
  const counts = list.map(value => (typeof value !== 'number' || value <= 0 ? NaN : value < 1 ? Math.max(1, Math.round(members * value)) : value));
  if (!counts.every(Number.isInteger)) note('keep', 'bad-halving', '`keep` must be a share below 1 or a whole number', 'for example 0.5, 8 or [8, 2]');
  if (counts.some((count, index) => count > (counts[index - 1] ?? members))) note('keep', 'bad-halving', `\`keep\` must not grow: ${counts.join(', ')} of ${members}`, 'fewer go on after each rung, or as many');
  return counts;
}

export function memberName(point: Point): string {
  const { [rungAxis]: _rung, ...rest } = point;
  return formatPoint(rest) || 'all';
}

/** The decision cells of a stage, one for each rung but the last. `first` is the index of the stage's first cell, `next` of the first decision. */
export function decisionCells(stage: StageState, halving: Halving, first: number, next: number, stageIndex: number, settings: CellSettings): Cell[] {
  const { rungs } = halving;
  return rungs.slice(0, -1).map((rung, position): Cell => {
    const point: Point = { [rungAxis]: rung };
    return {
      index: next + position,
      id: formatCellId(`${stage.name}/decide`, point),
      stage: stageIndex,
      point,
      action: { kind: 'decision', metric: halving.metric, mode: halving.mode, keep: halving.keep[position]!, members: halving.members.map(memberName) },
      with: {},
      inputs: {
        metrics: {
          kind: 'gather', output: halving.output, partial: true,
          items: halving.members.map((member, index) => ({ cell: first + index * rungs.length + position, point: { ...member, [rungAxis]: rung } })),
        },
      },
      outputs: { survivors: { kind: 'file', path: 'survivors.json', temp: false } },
      needs: [],
      settings,
      guard: null,
    };
  });
}
