import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json } from '../../../src/runner/json.ts';
import { canonicalJson } from '../../../src/runner/store/canonical-json.ts';

test('keys are sorted by UTF-16 code units and numbers are in shortest form, as in RFC 8785', () => {
  const value = {
    numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: '€$\u000f\nA\'B"\\\\"/',
    literals: [null, true, false],
  };
  // The example of RFC 8785, section 3.2.2.
  expect(canonicalJson(value)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const keys = ['€', '\r', '\ufb33', '1', '😀', '\u0080', 'ö'];
  expect(Object.keys(JSON.parse(canonicalJson(Object.fromEntries(keys.map(key => [`${key}.`, 0])))) as object).map(key => key.slice(0, -1))).toEqual(
    ['\r', '1', '\u0080', 'ö', '€', '😀', '\ufb33'],
  );
});

test('values of different types are encoded differently', () => {
  const values: Json[] = [1, '1', true, 'true', null, 'null', [], {}, [1], ['1'], { a: 1 }, '{"a":1}', ''];
  expect(new Set(values.map(canonicalJson)).size).toBe(values.length);
  expect(canonicalJson(-0)).toBe('0');
});

test('NaN and infinities are refused', () => {
  for (const value of [NaN, Infinity, -Infinity]) expect(() => canonicalJson({ a: [value] })).toThrow(/no JSON form/);
});

test('the order of keys does not count, and what is read back is the same', () => {
  fc.assert(fc.property(fc.jsonValue(), value => {
    const text = canonicalJson(value as Json);
    expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
    expect(canonicalJson(reversed(value as Json))).toBe(text);
  }));
});

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(item => reversed(item as Json));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).reverse().map(([key, item]) => [key, reversed(item as Json)]));
  return value;
}
