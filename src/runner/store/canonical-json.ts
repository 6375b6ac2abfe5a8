import type { Json, JsonObject } from '../json.ts';

/**
 * RFC 8785: keys sorted by UTF-16 code units, numbers in shortest round-trip form, no white space. Equal values give
 * equal text, and values of different types never do. NaN and infinities throw a TypeError: nothing here may hold them.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
    return JSON.stringify(value);
  }
  if (isList(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) text += (i === 0 ? '' : ',') + canonicalJson(value[i]!);
    return text + ']';
  }
  let text = '{';
  for (const key of sortedKeys(value)) {
    const inner = value[key];
    if (inner !== undefined) text += `${text.length === 1 ? '' : ','}${JSON.stringify(key)}:${canonicalJson(inner)}`;
  }
  return text + '}';
}

/** Most objects have one or two keys, or were written in order: they need no sorting. */
function sortedKeys(value: JsonObject): string[] {
  const keys = Object.keys(value);
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return keys.sort();
  return keys;
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value);
}
