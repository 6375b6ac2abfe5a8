/** How values are put into columns, and what is made of many. */
import type { Json, JsonObject } from '../json.ts';

/** SQLite has no NaN and stores it as NULL. */
export function kindOf(value: number): 'finite' | 'nan' | 'inf' | '-inf' {
  if (Number.isFinite(value)) return 'finite';
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `optimizer.rate` for a nested param; lists stay whole. */
export function* flatParams(params: JsonObject, prefix = ''): Generator<[string, Json]> {
  for (const [name, value] of Object.entries(params)) {
    if (isObject(value) && Object.keys(value).length > 0) yield* flatParams(value, `${prefix}${name}.`);
    else yield [prefix + name, value];
  }
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
