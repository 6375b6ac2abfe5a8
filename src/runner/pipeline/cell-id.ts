import type { CellId, Point } from './model.ts';
import type { Json } from '../json.ts';
import { canonical } from './values.ts';

/** A number in its shortest form that reads back the same: `1e9` from a million on, `64`, `0.001`, `1e-7`. */
export function formatNumber(value: number): string {
  // Most axes are small whole numbers. -0 is written 0.
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const plain = String(value).replace('e+', 'e');
  if (Math.abs(value) < 1e6) return plain;
  const exponential = value.toExponential().replace('e+', 'e');
  return exponential.length < plain.length ? exponential : plain;
}

/** One value of a point as a cell's id shows it: strings bare when they can be, else as JSON. */
export function formatAxisValue(value: Json): string {
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'string') return /^[A-Za-z0-9._-]+$/.test(value) ? value : JSON.stringify(value);
  return canonical(value);
}

/** `size=d32l2,flops=1e9,seed=1` */
export function formatPoint(point: Point): string {
  let text = '';
  for (const axis in point) text += `${text === '' ? '' : ','}${axis}=${formatAxisValue(point[axis]!)}`;
  return text;
}

/** `train[size=d32l2,flops=1e9,seed=1]`, or the stage's name alone when it has no axes. */
export function formatCellId(stage: string, point: Point): CellId {
  const inside = formatPoint(point);
  return (inside === '' ? stage : `${stage}[${inside}]`) as CellId;
}
