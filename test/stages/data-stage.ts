import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import type { ArtefactKind, InputKind, InputValue, StageModule } from '../../src/stage.ts';

export interface StageRun<O extends string> {
  readonly outputs: Readonly<Record<O, string>>;
  readonly metrics: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
  readonly fractions: readonly number[];
}

/** A new folder that is gone when the test is over. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a stage as the runner does: validated params, empty output folders, a folder of its own. */
export async function runStage<P extends z.ZodType, I extends Record<string, InputKind>, O extends Record<string, ArtefactKind>>(
  stage: StageModule<P, I, O>,
  given: { params: z.input<P>; inputs: { readonly [K in keyof I]: InputValue<I[K]> }; checkpoint?: string; projectRoot?: string },
): Promise<StageRun<Extract<keyof O, string>>> {
  const root = await temporaryFolder();
  const outputs = {} as Record<keyof O, string>;
  for (const name of Object.keys(stage.outputs) as (keyof O & string)[]) {
    outputs[name] = join(root, name);
    if (stage.outputs[name] === 'folder') await mkdir(outputs[name]);
  }
  const metrics = new Map<string, number>();
  const notes: string[] = [];
  const fractions: number[] = [];
  await stage.run({
    params: stage.params.parse(given.params),
    inputs: given.inputs,
    outputs,
    report: {
      metric: (name, value) => void metrics.set(name, value),
      progress: fraction => void fractions.push(fraction),
      note: text => void notes.push(text),
      platform: () => undefined,
      resumed: () => undefined,
    },
    signal: new AbortController().signal,
    checkpoint: given.checkpoint ?? null,
    resources: { cpu: 2, gpus: [] },
    backend: 'auto',
    projectRoot: given.projectRoot ?? root,
  });
  return { outputs, metrics, notes, fractions };
}
