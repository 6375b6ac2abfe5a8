import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { elements } from './kernels.ts';
import type { ModelConfig } from './model-config.ts';
import type { Parameter, Weights } from './parameters.ts';
import { readSafeTensors, SafeTensorsError, writeSafeTensors } from './safetensors.ts';
import type { SafeTensor } from './safetensors.ts';
import { stateNames } from './train-step.ts';

export interface MetricRow {
  readonly metric: string;
  readonly value: number;
  readonly step: number;
}

/** The best weights so far, by loss on the validation pool. */
export interface Best {
  readonly step: number;
  readonly loss: number;
  readonly weights: Weights;
}

/** All that a training run needs to go on as if it had never stopped. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Weights and moments. */
  readonly state: ReadonlyMap<string, Float32Array>;
  readonly best: Best | null;
  readonly rows: readonly MetricRow[];
}

/** What must be equal for a checkpoint to be of use; changes when model, settings or data do. */
export const runIdentity = (config: ModelConfig, settings: unknown): string =>
  createHash('sha256').update(JSON.stringify([config, settings])).digest('hex');

const file = (folder: string): string => join(folder, 'checkpoint.safetensors');

/** Saves to one file that is replaced whole: a stop in the middle leaves the one before. */
export async function saveCheckpoint(
  folder: string,
  identity: string,
  parameters: readonly Parameter[],
  progress: Progress,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = new Map<string, SafeTensor>();
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    for (const entry of stateNames(parameter)) tensors.set(`state/${entry}`, { shape, values: progress.state.get(entry)! });
    if (progress.best !== null) tensors.set(`best/${name}`, { shape, values: progress.best.weights.get(name)! });
  }
  const { step, best, rows } = progress;
  const metadata = {
    identity,
    step: String(step),
    best: JSON.stringify(best === null ? null : { step: best.step, loss: best.loss }),
    rows: JSON.stringify(rows.map(({ metric, value, step: at }) => [metric, value, at])),
  };
  await writeSafeTensors(file(folder), { tensors, metadata });
}

/**
 * What was saved for this very run, or null: there is none, it is of another run, or it cannot be read. `note` is told why a
 * checkpoint that is there is not used.
 */
export async function loadCheckpoint(
  folder: string,
  identity: string,
  parameters: readonly Parameter[],
  note: (text: string) => void,
): Promise<Progress | null> {
  if (!existsSync(file(folder))) return null;
  try {
    const { tensors, metadata } = await readSafeTensors(file(folder));
    if (metadata['identity'] !== identity) {
      note('the checkpoint is of other settings; beginning anew');
      return null;
    }
    const values = (name: string, length: number): Float32Array => {
      const tensor = tensors.get(name);
      if (tensor?.values.length !== length) throw new SafeTensorsError(`the checkpoint lacks "${name}"`);
      return tensor.values;
    };
    const best = JSON.parse(metadata['best'] ?? 'null') as { step: number; loss: number } | null;
    const rows = JSON.parse(metadata['rows'] ?? '[]') as [string, number, number][];
    return {
      step: Number(metadata['step']),
      state: new Map(
        parameters.flatMap((parameter) => stateNames(parameter).map((entry) => [entry, values(`state/${entry}`, elements(parameter.shape))])),
      ),
      best:
        best === null
          ? null
          : { ...best, weights: new Map(parameters.map(({ name, shape }) => [name, values(`best/${name}`, elements(shape))])) },
      rows: rows.map(([metric, value, step]) => ({ metric, value, step })),
    };
  } catch (error) {
    note(`the checkpoint cannot be used (${error instanceof Error ? error.message : String(error)}); beginning anew`);
    return null;
  }
}
