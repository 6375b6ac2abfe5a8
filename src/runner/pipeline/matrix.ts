/** The points of a stage: product of its axes, zipped columns, points left out, drawn and added. */
import type { Json, JsonObject } from '../json.ts';
import { axisValues, maxPoints } from './axis.ts';
import { formatAxisValue, formatPoint } from './cell-id.ts';
import { compileValue, placeOf } from './compile.ts';
import type { Scope } from './compile.ts';
import type { Origin, Point } from './model.ts';
import { childPointer } from './source-file.ts';
import { suggestion } from './suggest.ts';
import { isList, isMap, sameValue, setOwn } from './values.ts';

export interface Matrix {
  /** In declared order: the first changes slowest. */
  readonly axes: readonly string[];
  readonly points: readonly Point[];
  /** Axis → where its values were written. */
  readonly origins: ReadonlyMap<string, readonly Origin[]>;
}

export const singlePoint: Matrix = { axes: [], points: [{}], origins: new Map() };

/** Columns that move together; an axis is a single column. */
interface Column {
  readonly names: readonly string[];
  readonly rows: readonly (readonly Json[])[];
}

/**
 * Expands `matrix:` (keys in their written order) over the points of `base` (the producer of `each:`, or a single
 * point). Null when a mistake was noted.
 */
export function expandMatrix(raw: JsonObject, pointer: string, base: Matrix, scope: Scope): Matrix | null {
  const before = scope.problems.count;
  const filled: Record<string, Json> = {};
  const origins = new Map(base.origins);
  const columns: Column[] = [];
  for (const [key, value] of Object.entries(raw)) {
    if (key === 'halving') continue;
    if (key === 'axes' && isMap(value)) {
      for (const [name, axis] of Object.entries(value)) {
        const already = scope.problems.count;
        const here = childPointer(`${pointer}/axes`, name);
        const compiled = compileValue(axis, here, { ...scope, axes: null });
        origins.set(name, compiled.origins);
        // What a wrong template would have given is no mistake of its own.
        if (scope.problems.count === already) columns.push(...readAxis(name, compiled.fill({}), here, scope));
      }
      continue;
    }
    const already = scope.problems.count;
    const compiled = compileValue(value, childPointer(pointer, key), { ...scope, axes: null });
    if (scope.problems.count > already) continue;
    filled[key] = compiled.fill({});
    if (key === 'zip' && isMap(value)) {
      for (const name of Object.keys(value)) origins.set(name, compiled.origins);
      const zipped = readZip(filled.zip!, `${pointer}/zip`, scope);
      if (zipped) columns.push(zipped);
    }
  }
  const axes = [...base.axes];
  for (const name of columns.flatMap(column => column.names)) {
    if (axes.includes(name)) note(scope, pointer, 'duplicate-axis', `the axis \`${name}\` is there twice`, base.axes.includes(name) ? 'the stage of `each:` brings it already' : 'zip and axes share their names');
    axes.push(name);
  }
  const size = columns.reduce((product, column) => product * column.rows.length, base.points.length);
  if (size > maxPoints) note(scope, pointer, 'matrix-too-large', `the matrix has ${size} points, more than ${maxPoints}`, 'draw some with `sample:`, or split the stage');
  if (scope.problems.count > before) return null;
  let points = product(base.points, columns);
  if (filled.exclude !== undefined) points = exclude(points, axes, filled.exclude, `${pointer}/exclude`, scope);
  if (isMap(filled.sample)) points = sample(points, filled.sample, `${pointer}/sample`, scope);
  if (filled.include !== undefined) points = withIncluded(points, axes, filled.include, `${pointer}/include`, scope);
  if (points.length === 0) note(scope, pointer, 'empty-matrix', 'the matrix has no points left', '`exclude:` leaves them all out; to leave out the whole stage write `when: false`');
  if (scope.problems.count > before) return null;
  return { axes, points, origins };
}

function note(scope: Scope, pointer: string, code: string, message: string, hint: string | null): void {
  scope.problems.add({ code, message, hint, at: placeOf(scope, pointer) });
}

function readAxis(name: string, axis: Json, pointer: string, scope: Scope): Column[] {
  const values = axisValues(axis);
  if ('message' in values) {
    note(scope, values.path.reduce(childPointer, pointer), values.code, `axis \`${name}\`: ${values.message}`, values.hint);
    return [];
  }
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    const text = formatAxisValue(value);
    if (seen.has(text)) note(scope, childPointer(pointer, index), 'duplicate-value', `axis \`${name}\` has the value ${text} twice`, 'each point must have an id of its own');
    seen.add(text);
  }
  return [{ names: [name], rows: values.map(value => [value]) }];
}

function readZip(zip: Json, pointer: string, scope: Scope): Column | null {
  const entries = Object.entries(zip as JsonObject);
  const lists: (readonly Json[])[] = [];
  for (const [name, value] of entries) {
    if (isList(value) && value.length > 0) lists.push(value);
    else note(scope, childPointer(pointer, name), isList(value) ? 'empty-axis' : 'wrong-type', `column \`${name}\` must be a list of one value at least`, 'for example zip: { width: [64, 128], batch: [256, 128] }');
  }
  if (lists.length !== entries.length || lists.length === 0) return null;
  const uneven = lists.findIndex(list => list.length !== lists[0]!.length);
  if (uneven > 0) {
    note(scope, childPointer(pointer, entries[uneven]![0]), 'uneven-zip', `columns of a zip move together: \`${entries[0]![0]}\` has ${lists[0]!.length} values, \`${entries[uneven]![0]}\` has ${lists[uneven]!.length}`, 'give each as many; columns that do not move together are `axes:`');
    return null;
  }
  const rows = lists[0]!.map((_, index) => lists.map(list => list[index]!));
  const seen = new Set<string>();
  for (const [index, row] of rows.entries()) {
    const text = row.map(formatAxisValue).join(',');
    if (seen.has(text)) note(scope, childPointer(childPointer(pointer, entries[0]![0]), index), 'duplicate-value', `the zip has the row ${text} twice`, 'each point must have an id of its own');
    seen.add(text);
  }
  return { names: entries.map(([name]) => name), rows };
}

function product(base: readonly Point[], columns: readonly Column[]): Point[] {
  let points: Point[] = [...base];
  for (const column of columns) {
    const next: Point[] = [];
    for (const point of points) {
      for (const row of column.rows) {
        const extended: Record<string, Json> = { ...point };
        for (let i = 0; i < row.length; i++) extended[column.names[i]!] = row[i]!;
        next.push(extended);
      }
    }
    points = next;
  }
  return points;
}

function readPoints(list: Json, axes: readonly string[], pointer: string, scope: Scope): { readonly point: JsonObject; readonly pointer: string }[] {
  if (!isList(list)) {
    note(scope, pointer, 'wrong-type', 'points are a list of maps, axis → value', 'for example [{ size: d24l2, seed: 3 }]');
    return [];
  }
  return list.flatMap((point, index) => {
    const here = childPointer(pointer, index);
    if (!isMap(point)) {
      note(scope, here, 'wrong-type', 'a point is a map, axis → value', 'for example { size: d24l2, seed: 3 }');
      return [];
    }
    const unknown = Object.keys(point).filter(axis => !axes.includes(axis));
    for (const axis of unknown) {
      scope.problems.add({ code: 'unknown-axis', message: `the matrix has no axis \`${axis}\``, hint: suggestion(axis, axes, 'axes are'), at: { kind: 'file', file: scope.file, pointer: childPointer(here, axis), part: 'key' } });
    }
    return unknown.length > 0 ? [] : [{ point, pointer: here }];
  });
}

function exclude(points: Point[], axes: readonly string[], list: Json, pointer: string, scope: Scope): Point[] {
  const patterns = readPoints(list, axes, pointer, scope).map(({ point }) => Object.entries(point));
  if (patterns.length === 0) return points;
  return points.filter(point => !patterns.some(pattern => pattern.every(([axis, value]) => sameValue(point[axis]!, value))));
}

function withIncluded(points: readonly Point[], axes: readonly string[], list: Json, pointer: string, scope: Scope): Point[] {
  const seen = new Set(points.map(formatPoint));
  const added = readPoints(list, axes, pointer, scope).flatMap(({ point, pointer: here }) => {
    const missing = axes.filter(axis => !Object.hasOwn(point, axis));
    if (missing.length > 0) {
      note(scope, here, 'incomplete-point', `a point to add needs every axis: ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing`, `the axes are ${axes.join(', ')}`);
      return [];
    }
    const ordered: Record<string, Json> = {};
    for (const axis of axes) setOwn(ordered, axis, point[axis]!);
    const text = formatPoint(ordered);
    if (seen.has(text)) note(scope, here, 'duplicate-value', `the point ${text} is there already`, 'each point must have an id of its own');
    seen.add(text);
    return [ordered];
  });
  return [...points, ...added];
}

/** Draws without replacement; the points stay in matrix order. */
function sample(points: Point[], settings: JsonObject, pointer: string, scope: Scope): Point[] {
  const { count, seed = 0 } = settings;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1) {
    note(scope, childPointer(pointer, 'count'), 'wrong-type', '`count` must be a whole number of at least 1', 'it is how many points are drawn');
    return points;
  }
  if (typeof seed !== 'number' || !Number.isInteger(seed)) {
    note(scope, childPointer(pointer, 'seed'), 'wrong-type', '`seed` must be a whole number', 'the same seed draws the same points');
    return points;
  }
  if (count > points.length) {
    note(scope, childPointer(pointer, 'count'), 'sample-too-large', `${count} points cannot be drawn from ${points.length}`, `write a count of at most ${points.length}, or leave \`sample:\` out`);
    return points;
  }
  const random = mulberry32(seed);
  const order = points.map((_, index) => index);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (order.length - i));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order.slice(0, count).sort((a, b) => a - b).map(index => points[index]!);
}

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, the same draws on every machine. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
