/** The values of one axis: a list, `{from, to, step}`, `{log: [a, b], count}`, `{linear: [a, b], count}`. */
import type { Json, JsonObject } from '../json.ts';
import { isList, isMap } from './values.ts';

export const maxPoints = 1_000_000;

export interface AxisMistake {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  /** Steps from the axis to the wrong part. */
  readonly path: readonly (string | number)[];
}

/** Computed values are rounded to 12 digits: `0.1 + 0.2` is then 0.3, and no processor's last bit changes a key. */
function round(value: number): number {
  return Number.isInteger(value) && Math.abs(value) < 2 ** 53 ? value : Number(value.toPrecision(12));
}

export function axisValues(axis: Json): readonly Json[] | AxisMistake {
  if (isList(axis)) {
    return axis.length > 0 ? axis : { code: 'empty-axis', message: 'the axis has no values', hint: 'an axis needs one value at least', path: [] };
  }
  if (!isMap(axis)) return { code: 'wrong-type', message: `an axis is a list or a range, not ${JSON.stringify(axis)}`, hint: axis === null ? null : `for one value write [${JSON.stringify(axis)}]`, path: [] };
  if ('from' in axis) return range(axis);
  return spaced(axis, 'log' in axis ? 'log' : 'linear');
}

function number(axis: JsonObject, key: string): number | AxisMistake {
  const value = axis[key];
  return typeof value === 'number' ? value : { code: 'wrong-type', message: `\`${key}\` must be a number, not ${JSON.stringify(value ?? null)}`, hint: 'write a number, or a template that is the whole value', path: [key] };
}

function range(axis: JsonObject): readonly number[] | AxisMistake {
  const from = number(axis, 'from');
  const to = number(axis, 'to');
  const step = axis.step === undefined ? 1 : number(axis, 'step');
  if (typeof from !== 'number') return from;
  if (typeof to !== 'number') return to;
  if (typeof step !== 'number') return step;
  if (step === 0 || (to - from) * step < 0) {
    return { code: 'empty-axis', message: `there is no value from ${from} to ${to} in steps of ${step}`, hint: step === 0 ? 'the step cannot be 0' : to < from ? 'write a negative step to count down' : null, path: [] };
  }
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (count > maxPoints) return tooMany(count);
  return Array.from({ length: count }, (_, index) => round(from + index * step));
}

function spaced(axis: JsonObject, kind: 'log' | 'linear'): readonly number[] | AxisMistake {
  const ends = axis[kind];
  const count = number(axis, 'count');
  if (!isList(ends) || ends.length !== 2 || typeof ends[0] !== 'number' || typeof ends[1] !== 'number') {
    return { code: 'wrong-type', message: `\`${kind}\` must be two numbers`, hint: `for example {${kind}: [1e9, 1e11], count: 5}`, path: [kind] };
  }
  const [a, b] = [ends[0], ends[1]];
  if (typeof count !== 'number') return count;
  if (!Number.isInteger(count) || count < 1) return { code: 'wrong-type', message: `\`count\` must be a whole number of at least 1, not ${count}`, hint: 'it is the number of values, both ends included', path: ['count'] };
  if (count > maxPoints) return tooMany(count);
  if (kind === 'log' && (a <= 0 || b <= 0)) return { code: 'bad-axis', message: '`log` needs two numbers above 0', hint: 'use `linear` for others', path: [kind] };
  return Array.from({ length: count }, (_, index) => {
    if (index === 0) return a;
    if (index === count - 1) return b;
    const share = index / (count - 1);
    return round(kind === 'log' ? a * (b / a) ** share : a + (b - a) * share);
  });
}

function tooMany(count: number): AxisMistake {
  return { code: 'matrix-too-large', message: `${count} values are more than the ${maxPoints} that a matrix can have`, hint: 'take larger steps, or draw some of the points with `sample:`', path: [] };
}
