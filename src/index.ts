/**
 * The public library of `xfolds`: running pipelines from code, and the study's own functions. Nothing that a stage imports
 * comes from here.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runPipelineWith } from './runner/cli/run-pipeline.ts';
import type { RunPipelineOptions } from './runner/cli/run-pipeline.ts';
import type { RunSummary } from './runner/run/run-plan.ts';

export { defineStage } from './stage.ts';
export type { StageContext, StageModule, Report, GatheredCell, ArtefactKind, InputKind, ProgressDetail } from './stage.ts';
export { InvalidPipeline, PipeError } from './runner/diagnostic.ts';
export type { Diagnostic } from './runner/diagnostic.ts';
export type { RunEvent } from './runner/run/event.ts';
export type { RunPipelineOptions } from './runner/cli/run-pipeline.ts';
export type { RunSummary } from './runner/run/run-plan.ts';
export { tokenize } from './study/text/tokenizer.ts';
export { modelSize } from './study/nn/model-size.ts';
export type { ModelSize } from './study/nn/model-size.ts';
export type { ModelConfig, SizeOptions } from './study/nn/model-config.ts';
export { fitScalingLaw } from './study/law/fit.ts';
export type { ScalingLawFit, ScalingLawOptions } from './study/law/fit.ts';
export { ScalingLawError } from './study/law/points.ts';
export type { ScalingPoint } from './study/law/points.ts';

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Makes every cell of a pipeline (or the targets) fresh, as `pipe run` does, and says how that went. A failed stage is
 * no exception: see `exitCode` and `failed` of the summary. Throws InvalidPipeline with every mistake in the file, and
 * PipeError for wrong targets and what this machine lacks.
 *
 * @example
 * const { ran, fresh } = await runPipeline({ file: 'scaling.yaml', set: { seeds: 3 }, onEvent: event => console.log(event) });
 */
export async function runPipeline(options: RunPipelineOptions = {}): Promise<RunSummary> {
  return runPipelineWith(options, {
    packageRoot,
    version: (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version,
    backends: {
      names: ['auto', 'tensorflow', 'wasm', 'cpu'],
      identity: async choice => (await import('./study/nn/choose-backend.ts')).backendIdentity(choice),
      portable: async (choice, gpus) => (await import('./study/nn/choose-backend.ts')).portableBackend(choice, gpus),
    },
  });
}
