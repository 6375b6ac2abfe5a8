/** What is wrong with the shape of a hosts file, in the words of the file. */
import { z } from 'zod';
import type { Json, JsonObject } from '../json.ts';
import { noteIssues } from '../pipeline/check-shape.ts';
import type { Problems } from '../pipeline/problems.ts';
import { hostsFileSchema } from './schema.ts';

export function noteShape(file: string, value: Json, error: z.ZodError, problems: Problems): void {
  noteIssues(file, value, error.issues, problems, {
    describe: path => (path.length === 0 ? 'a hosts file' : path[0] === 'hosts' && path.length === 2 ? `host \`${path[1]}\`` : `\`${path.filter((_, index) => !(path[0] === 'hosts' && index < 2)).join('.')}\``),
    schema: () => JSON.parse(JSON.stringify(z.toJSONSchema(hostsFileSchema, { target: 'draft-7', io: 'input' }))) as JsonObject,
  });
}
