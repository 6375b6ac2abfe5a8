import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyEdit } from './random/edit.ts';
import { found } from './random/found.ts';
import { live } from './random/history.ts';
import { anyProject } from './random/model.ts';

const cases = Number(process.env['PIPE_RANDOM_CASES'] ?? 60);
const seed = process.env['PIPE_RANDOM_SEED'] === undefined ? undefined : Number(process.env['PIPE_RANDOM_SEED']);

test(
  'whatever is edited, a run does what its plan says, no more than is needed, and leaves what a clean build makes',
  async () => {
    expect(cases).toBeGreaterThan(0);
    await fc.assert(
      fc.asyncProperty(anyProject, fc.array(anyEdit, { minLength: 1, maxLength: 4 }), live),
      // A run that hangs is a failure, too. Making a failure smaller takes minutes: asked for by PIPE_RANDOM_SHRINK=1.
      { numRuns: cases, examples: found, timeout: 30_000, endOnFailure: process.env['PIPE_RANDOM_SHRINK'] !== '1', ...(seed === undefined ? {} : { seed }) },
    );
  },
  10 * 60_000,
);
