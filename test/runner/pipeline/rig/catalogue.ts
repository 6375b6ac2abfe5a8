import { z } from 'zod';
import type { ArtefactKind, InputKind } from '../../../../src/stage.ts';
import type { JsonObject, ParamsResult, StageCatalogue } from '../../../../src/runner/pipeline/model.ts';

export interface PlainStage {
  readonly params?: z.ZodType;
  readonly inputs?: Readonly<Record<string, InputKind>>;
  readonly outputs?: Readonly<Record<string, ArtefactKind>>;
}

/** Typed stages as plain objects; `calls` counts what was asked, as one call for many cells is part of the contract. */
export function catalogueOf(stages: Readonly<Record<string, PlainStage>>): StageCatalogue & { readonly calls: { checkParams: number } } {
  const calls = { checkParams: 0 };
  const byFile = (file: string): PlainStage => {
    const stage = stages[file.replace(/^.*\/|\.ts$/g, '')];
    if (!stage) throw new Error(`no module ${file}`);
    return stage;
  };
  return {
    calls,
    names: () => Object.keys(stages),
    find: name => (Object.hasOwn(stages, name) ? `/modules/${name}.ts` : null),
    info: async file => {
      const stage = byFile(file);
      return {
        summary: `the stage ${file}`, stageApi: 1, inputs: stage.inputs ?? {}, outputs: stage.outputs ?? {},
        params: z.toJSONSchema(stage.params ?? z.object({}), { io: 'input' }) as JsonObject,
      };
    },
    checkParams: async (file, values) => {
      calls.checkParams++;
      const schema = byFile(file).params ?? z.object({});
      return values.map((value): ParamsResult => {
        const result = schema.safeParse(value);
        if (result.success) return { ok: true, value: result.data as JsonObject };
        return { ok: false, issues: result.error.issues.map(issue => ({ path: issue.path as (string | number)[], message: issue.message })) };
      });
    },
    checkInputs: async () => null,
    closureFiles: async file => [file, '/modules/shared.ts'],
  };
}

/** The stages of the study, as far as the language sees them. */
export const studyStages = {
  download: { outputs: { pairs: 'folder' }, params: z.object({ limit: z.int().default(10) }) },
  phantom: { outputs: { pairs: 'folder' } },
  preprocess: { inputs: { pairs: 'folder' }, outputs: { images: 'folder', captions: 'file' }, params: z.object({ resolution: z.int().positive().default(32) }) },
  train: {
    inputs: { images: 'folder', resume: 'file?' }, outputs: { model: 'file', metrics: 'metrics' },
    params: z.object({
      size: z.string().default('d16l1'), flops: z.number().default(1), seed: z.int().default(1), steps: z.int().optional(),
      optimiser: z.object({ name: z.enum(['adam', 'adamw']).default('adam'), rate: z.number().optional() }).optional(),
    }),
  },
  evaluate: { inputs: { model: 'file', images: 'folder' }, outputs: { metrics: 'metrics' } },
  fit: { inputs: { runs: 'metrics[]' }, outputs: { law: 'file', plot: 'file' } },
} as const satisfies Readonly<Record<string, PlainStage>>;

export const study = (): ReturnType<typeof catalogueOf> => catalogueOf(studyStages);
