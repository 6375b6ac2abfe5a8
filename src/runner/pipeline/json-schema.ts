import { z } from 'zod';
import type { JsonObject } from '../json.ts';
import { pipelineFileSchema } from './schema.ts';

/** The JSON Schema (draft 7, which every YAML language server reads) of a pipeline file. */
export function pipelineJsonSchema(): JsonObject {
  const schema = z.toJSONSchema(pipelineFileSchema, { target: 'draft-7', io: 'input' });
  return JSON.parse(JSON.stringify({ ...schema, title: 'Pipeline file of pipe' })) as JsonObject;
}
