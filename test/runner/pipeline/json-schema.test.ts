import { readFileSync } from 'node:fs';
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
