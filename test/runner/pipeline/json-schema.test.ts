import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pipelineJsonSchema } from '../../../src/runner/pipeline/json-schema.ts';
import type { Json } from '../../../src/runner/json.ts';
import { isMap } from '../../../src/runner/pipeline/values.ts';

test('docs/pipeline.schema.json is the schema that validates; `pipe schema` prints it', () => {
  const kept = JSON.parse(readFileSync(new URL('../../../docs/pipeline.schema.json', import.meta.url), 'utf8')) as unknown;
  expect(kept).toEqual(pipelineJsonSchema());
});

test('every key of a stage is described', () => {
  const described = (node: Json | undefined, path: readonly string[]): string[] => {
    let at = node;
    for (const step of path) at = isMap(at) ? at[step] : undefined;
    if (!isMap(at)) throw new Error(`no ${path.join('.')}`);
    return Object.entries(at).flatMap(([key, value]) => (isMap(value) && (typeof value.description === 'string' || key === 'title') ? [] : [key]));
  };
  const schema = pipelineJsonSchema();
  expect(described(schema, ['properties'])).toEqual([]);
  expect(described(schema, ['properties', 'stages', 'additionalProperties', 'properties'])).toEqual([]);
});

const guide = readFileSync(new URL('../../../docs/language.md', import.meta.url), 'utf8');

test('docs/language.md lists every code that the language has, and no other', () => {
  const folder = new URL('../../../src/runner/pipeline/', import.meta.url);
  const text = readdirSync(folder).filter(name => !/^(target|project|diagnostic)\.ts$/.test(name)).map(name => readFileSync(new URL(name, folder), 'utf8')).join('\n');
  const listed = [...guide.split('## Mistakes')[1]!.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(match => [...match[1]!.matchAll(/`([a-z-]+)`/g)].map(code => code[1]!));
  // Hyphenated words in quotes are codes, but for these two.
  const used = [...text.matchAll(/'([a-z]+(?:-[a-z]+)+)'/g)].map(match => match[1]!).filter(word => !['command-line', 'draft-7'].includes(word));
  expect([...new Set(used)].filter(code => !listed.includes(code))).toEqual([]);
  expect(listed.filter(code => !text.includes(`'${code}'`))).toEqual([]);
});
