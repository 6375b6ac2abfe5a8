/** Targets of the command line: `train`, `train[size=d32l2,seed=1]`, `train[*]`, `+train`, `train+`, `train.model`. */
import { PipeError } from '../diagnostic.ts';
import { formatAxisValue } from './cell-id.ts';
import type { Cell, CellGraph, Point, StageDefinition } from './model.ts';
import { dependenciesOf, readersOf, stagesByName } from './reader.ts';
import { parseSelection, termMatches } from './selection.ts';
import type { Selection, SelectionTerm } from './selection.ts';
import { closest, listNames, suggestion } from './suggest.ts';

export interface Target {
  readonly stage: string;
  readonly selection: Selection | null;
  /** `+train`: and what it needs. */
  readonly ancestors: boolean;
  /** `train+`: and what needs it. */
  readonly descendants: boolean;
}

export const targetForm = 'targets are train, train[size=d32l2,seed=1], train[*], +train (and what it needs) and train+ (and what needs it)';

function usage(message: string, hint: string | null = targetForm, code = 'bad-target'): PipeError {
  return new PipeError(message, { exitCode: 2, code, hint });
}

/** Throws PipeError (exit 2) when the text is no target. Says nothing about whether there is such a stage. */
export function parseTarget(text: string): Target {
  const match = /^(\+?)([A-Za-z][A-Za-z0-9_-]*(?:\/[A-Za-z][A-Za-z0-9_-]*){0,2})(?:\[(.*)\])?(\+?)$/s.exec(text.trim());
  if (!match) throw usage(`\`${text}\` is no target`);
  const [, before, stage, inside, after] = match;
  let selection: Selection | null = null;
  if (inside !== undefined) {
    const parsed = parseSelection(inside);
    if (typeof parsed === 'string') throw usage(`target \`${text}\`: ${parsed}`);
    selection = parsed;
  }
  return { stage: stage!, selection, ancestors: before === '+', descendants: after === '+' };
}

/** `train[size=d32l2].model` → the target and the output. Throws PipeError (exit 2) when no output is named. */
export function parseOutputTarget(text: string): { readonly target: Target; readonly output: string } {
  const match = /^(.*?(?:\])?)\.([A-Za-z][A-Za-z0-9_-]*)$/s.exec(text.trim());
  // A dot inside the brackets, as in train[rate=0.5], is none between stage and output.
  if (!match || (match[1]!.includes('[') && !match[1]!.endsWith(']'))) throw usage(`\`${text}\` names no output`, 'write stage.output, for example train[seed=1].model');
  const target = parseTarget(match[1]!);
  if (target.ancestors || target.descendants) throw usage(`\`${text}\` names one output: leave out the +`, null);
  return { target, output: match[2]! };
}

/** The stage that a name on the command line means; an included pipeline's stage may go without its prefix if that is clear. */
export function findTargetStage(graph: CellGraph, name: string): StageDefinition {
  const byName = stagesByName(graph);
  const own = byName.get(name);
  if (own !== undefined) return graph.stages[own]!;
  const suffix = graph.stages.filter(stage => stage.name.endsWith(`/${name}`));
  if (suffix.length === 1) return suffix[0]!;
  if (suffix.length > 1) throw usage(`\`${name}\` may be any of ${listNames(suffix.map(stage => stage.name))}`, 'write the one you mean', 'unknown-stage');
  const inactive = graph.inactive.find(stage => stage.name === name);
  if (inactive) throw usage(`stage \`${name}\` is not active (when: ${inactive.when})`, 'another --profile or --set may turn it on', 'inactive-stage');
  const names = graph.stages.map(stage => stage.name);
  const meant = closest(name, names);
  throw usage(`no stage is called \`${name}\``, meant !== null ? `did you mean \`${meant}\`?` : `stages are: ${listNames(names)}`, 'unknown-stage');
}

/** Indices of the cells that a target names, without ancestors and descendants, in matrix order; at least one. */
export function matchTarget(graph: CellGraph, target: Target): number[] {
  const stage = findTargetStage(graph, target.stage);
  const cells = graph.cells.slice(stage.first, stage.first + stage.count);
  const tests = (target.selection?.terms ?? []).map(term => termTest(term, stage, cells));
  const found = cells.filter(cell => tests.every(test => test(cell.point))).map(cell => cell.index);
  if (found.length === 0) {
    throw usage(`no cell of \`${stage.name}\` has all of ${target.selection!.terms.map(term => (term.axis === null ? term.text : `${term.axis}=${term.text}`)).join(',')}`,
      `its cells are: ${listNames(cells.map(cell => cell.id))}`, 'no-such-cell');
  }
  return found;
}

function termTest(term: SelectionTerm, stage: StageDefinition, cells: readonly Cell[]): (point: Point) => boolean {
  if (stage.axes.length === 0) throw usage(`stage \`${stage.name}\` has no matrix to choose from`, `write ${stage.name}`, 'unknown-axis');
  if (term.axis === null) {
    const axes = stage.axes.filter(axis => cells.some(cell => termMatches(term, cell.point[axis]!)));
    if (axes.length === 1) return point => termMatches(term, point[axes[0]!]!);
    if (axes.length > 1) throw usage(`\`${term.text}\` may be a value of ${axes.join(' or ')}`, `write ${axes[0]!}=${term.text}`, 'no-such-cell');
    const values = [...new Set(cells.flatMap(cell => stage.axes.map(axis => formatAxisValue(cell.point[axis]!))))];
    throw usage(`no axis of \`${stage.name}\` has the value ${term.text}`, suggestion(term.text, values, 'values are'), 'no-such-cell');
  }
  const { axis } = term;
  if (!stage.axes.includes(axis)) throw usage(`stage \`${stage.name}\` has no axis \`${axis}\``, suggestion(axis, stage.axes, 'axes are'), 'unknown-axis');
  if (!cells.some(cell => termMatches(term, cell.point[axis]!))) {
    const values = [...new Set(cells.map(cell => formatAxisValue(cell.point[axis]!)))];
    throw usage(`axis \`${axis}\` of \`${stage.name}\` has no value ${term.text}`, suggestion(term.text, values, 'values are'), 'no-such-cell');
  }
  return point => termMatches(term, point[axis]!);
}

/**
 * The cells that the targets name, by index. Without targets: all. `+train` adds what it needs, `train+` what needs
 * it. Throws PipeError (exit 2) with a suggestion for names and values that there are none of.
 */
export function selectCells(graph: CellGraph, targets: readonly string[]): ReadonlySet<number> {
  if (targets.length === 0) return new Set(graph.cells.keys());
  const selected = new Set<number>();
  for (const text of targets) {
    const target = parseTarget(text);
    const cells = new Set(matchTarget(graph, target));
    for (const cell of cells) selected.add(cell);
    if (target.ancestors) for (const cell of withAncestors(graph, cells)) selected.add(cell);
    if (target.descendants) for (const cell of withDescendants(graph, cells)) selected.add(cell);
  }
  return selected;
}

/** The one cell that a target names. Throws PipeError (exit 2) listing the choices when it names several. */
export function selectOneCell(graph: CellGraph, text: string): number {
  return oneOf(graph, parseTarget(text), text);
}

/** `train[seed=1].model` → the one cell, and an output that it has. Throws PipeError (exit 2) otherwise. */
export function selectOutput(graph: CellGraph, text: string): { readonly cell: number; readonly output: string } {
  const { target, output } = parseOutputTarget(text);
  const cell = oneOf(graph, target, text);
  const outputs = Object.keys(graph.cells[cell]!.outputs);
  if (!outputs.includes(output)) throw usage(`\`${target.stage}\` has no output \`${output}\``, suggestion(output, outputs, 'outputs are'), 'unknown-output');
  return { cell, output };
}

function oneOf(graph: CellGraph, target: Target, text: string): number {
  const cells = matchTarget(graph, target);
  if (cells.length === 1) return cells[0]!;
  throw usage(`\`${text}\` names ${cells.length} cells, and one is needed`, `name one of: ${listNames(cells.map(cell => graph.cells[cell]!.id))}`, 'ambiguous-target');
}

/** The set and all that it needs, directly or not. */
export function withAncestors(graph: CellGraph, set: ReadonlySet<number>): ReadonlySet<number> {
  return reach(set, index => dependenciesOf(graph.cells[index]!));
}

/** The set and all that needs it, directly or not. */
export function withDescendants(graph: CellGraph, set: ReadonlySet<number>): ReadonlySet<number> {
  const readers = readersOf(graph);
  return reach(set, index => readers[index]!);
}

function reach(start: ReadonlySet<number>, next: (index: number) => readonly number[]): ReadonlySet<number> {
  const seen = new Set(start);
  const open = [...start];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    for (const other of next(index)) {
      if (seen.has(other)) continue;
      seen.add(other);
      open.push(other);
    }
  }
  return seen;
}
