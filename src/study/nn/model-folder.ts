import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checked } from './model-config.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { parametersOf } from './parameters.ts';
import type { Reading } from './reading.ts';
import { readSafeTensors, readSafeTensorShapes, writeSafeTensors } from './safetensors.ts';

/** How a model came about, kept beside its configuration. */
export interface TrainingFacts {
  readonly steps: number;
  /** The step whose weights were kept. */
  readonly kept_step: number;
  readonly batch: number;
  readonly pairs_seen: number;
  readonly unique_pairs: number;
  /** 6 · MAC for each pair seen. */
  readonly flops: number;
  /** Tokens of captions that went through the text tower. */
  readonly text_tokens_seen?: number;
  readonly learning_rate: number;
  readonly weight_decay: number;
  readonly seed: number;
  /** Where weights that were not trained here came from: an imported file. */
  readonly imported_from?: string;
}

/** Facts of a model that was not trained here. */
export const untrained = (source: string): TrainingFacts => ({
  steps: 0,
  kept_step: 0,
  batch: 0,
  pairs_seen: 0,
  unique_pairs: 0,
  flops: 0,
  learning_rate: 0,
  weight_decay: 0,
  seed: 0,
  imported_from: source,
});

export interface SavedModel {
  readonly config: ModelConfig;
  /** How captions and images were read when the model was last trained; left out: whole. */
  readonly reading?: Reading;
  readonly training: TrainingFacts;
  readonly weights: Map<string, Float32Array>;
}

/** A model folder that is missing a part or contradicts itself. */
export class ModelFolderError extends Error {
  override readonly name = 'ModelFolderError';
}

/** Writes `model.json` (the configuration, and how it was trained) and `weights.safetensors`. */
export async function saveModel(folder: string, { config, training, weights, reading }: SavedModel): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafeTensors(weightsFile(folder), { tensors: shapedWeights(config, weights), metadata: { format: 'pt' } });
  await writeFile(join(folder, 'model.json'), `${JSON.stringify({ ...config, ...(reading === undefined ? {} : { reading }), training }, null, 2)}\n`);
}

export function shapedWeights(config: ModelConfig, weights: Weights): Map<string, { shape: readonly number[]; values: Float32Array }> {
  return new Map(parametersOf(config).map(({ name, shape }) => [name, { shape, values: weights.get(name)! }]));
}

type Described = Omit<SavedModel, 'weights'>;

/** What `model.json` says. @throws ModelFolderError where there is none, and ModelConfigError for a model that cannot be built */
async function readDescription(folder: string): Promise<Described> {
  const path = join(folder, 'model.json');
  let parsed: ModelConfig & { training: TrainingFacts; reading?: Reading };
  try {
    parsed = JSON.parse(await readFile(path, 'utf8')) as ModelConfig & { training: TrainingFacts; reading?: Reading };
  } catch (cause) {
    throw new ModelFolderError(`${path} cannot be read`, { cause });
  }
  const { training, reading, ...config } = parsed;
  return { config: checked(config), training, ...(reading === undefined ? {} : { reading }) };
}

const weightsFile = (folder: string): string => join(folder, 'weights.safetensors');

function checkShapes(folder: string, config: ModelConfig, tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): void {
  for (const { name, shape } of parametersOf(config)) {
    const found = tensors.get(name)?.shape;
    if (found === undefined) throw new ModelFolderError(`${folder}: the weights lack "${name}"`);
    if (found.join() !== shape.join()) throw new ModelFolderError(`${folder}: "${name}" has shape [${found.join(', ')}], not [${shape.join(', ')}]`);
  }
}

/** The configuration of what saveModel wrote, when the weights' header says that they are its own. @throws ModelFolderError if not */
export async function checkedFolder(folder: string): Promise<ModelConfig> {
  const { config } = await readDescription(folder);
  checkShapes(folder, config, await readSafeTensorShapes(weightsFile(folder)));
  return config;
}

/** Reads what saveModel wrote. @throws ModelFolderError when the weights are not those of the configuration. */
export async function loadModel(folder: string): Promise<SavedModel> {
  const described = await readDescription(folder);
  const { tensors } = await readSafeTensors(weightsFile(folder));
  checkShapes(folder, described.config, tensors);
  return { ...described, weights: new Map(parametersOf(described.config).map(({ name }) => [name, tensors.get(name)!.values])) };
}
