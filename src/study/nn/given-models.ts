/** Models that somebody gives as files, looked at by their headers alone before anything is trained from them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { adapterOf } from './adapter-config.ts';
import { decoderKinds, decoderOf } from './decoder-config.ts';
import { checkStart, configOfWeights } from './layouts/foreign-weights.ts';
import { shapeText, WeightsError } from './layouts/layout.ts';
import { checked, type ModelConfig, ModelConfigError, type ModelInput } from './model-config.ts';
import { checkedFolder, ModelFolderError, type SavedModel } from './model-folder.ts';
import { maskedConfig, type ModelParams } from './model-params.ts';
import { parametersOf } from './parameters.ts';
import { SafeTensorsError } from './safetensors.ts';

export interface GivenProblem {
  readonly message: string;
  readonly hint?: string;
}

/** What a look at files finds wrong; null if nothing. */
async function problemOf(look: () => Promise<unknown>): Promise<GivenProblem | null> {
  try {
    await look();
    return null;
  } catch (error) {
    if (error instanceof WeightsError || error instanceof ModelConfigError) return { message: error.message, hint: error.hint };
    if (error instanceof ModelFolderError || error instanceof SafeTensorsError) return { message: error.message };
    throw error;
  }
}

/**
 * Whether the model of the params can start from these weights. What goes in is what the params say, else what the weights were
 * trained with, as the data are not there yet; `train` looks once more when they are.
 */
export const startProblem = (path: string, params: ModelParams): Promise<GivenProblem | null> =>
  problemOf(async () => {
    const found = await configOfWeights(path);
    checkStart(path, found, maskedConfig(params, expectedInput(params, found)).config);
  });

function expectedInput({ size, input }: ModelParams, { image, text }: ModelConfig): Partial<ModelInput> {
  // A preset has an input of its own.
  if (!/^[dpr]\d/.test(size)) return {};
  if (input === null) return { resolution: image.resolution, context: text.context, vocabulary: text.vocabulary };
  const { resolution, context, vocabulary } = input;
  // A remapped vocabulary may turn out smaller than it was allowed to be.
  return { resolution, context, vocabulary: vocabulary === 'clip' ? 49408 : Math.min(vocabulary, text.vocabulary) };
}

/** Whether a way attends over adapters that were trained before. */
export const fuses = (way: string): boolean => way.endsWith('+fusion');

/** A base's configuration with what a way of adapting it puts on it, or in place of it. @throws ModelConfigError where that cannot be built */
export function adaptedConfig(base: ModelConfig, way: string): ModelConfig {
  if (way === 'frozen') return checked(base);
  if (base.adapter !== undefined) {
    throw new ModelConfigError(`${base.name} is no base, as it has adapters of its own (${base.adapter.kind}), which ${way} would drop or stack`, 'give the model that they were trained on');
  }
  const kind = decoderKinds.find((name) => name === way);
  if (kind !== undefined) return checked({ ...base, decoder: decoderOf(kind) });
  return way === 'full' ? checked(base) : checked({ ...base, adapter: adapterOf(way) });
}

/** Whether a model folder is a whole model, on which the way can be built. */
export const baseProblem = (path: string, way: string): Promise<GivenProblem | null> => problemOf(async () => adaptedConfig(await modelFolder(path), way));

/** Whether a model folder has the adapters that are to be fused on the base. */
export const fusedProblem = (path: string, base: string, way: string): Promise<GivenProblem | null> =>
  problemOf(async () => checkFused(path, await modelFolder(path), adaptedConfig(await modelFolder(base), way)));

async function modelFolder(path: string): Promise<ModelConfig> {
  if (!existsSync(join(path, 'model.json'))) throw new WeightsError(`${path} is no model folder, which holds model.json and weights.safetensors`, `pipe weights import ${path} FOLDER makes one`);
  return checkedFolder(path);
}

/** @throws WeightsError naming every adapter of `config` that `given` lacks, or has in another shape */
export function checkFused(path: string, given: ModelConfig, config: ModelConfig): void {
  const there = new Map(parametersOf(given).map(({ name, shape }) => [name, shape]));
  const problems = parametersOf(config).flatMap(({ name, shape, part, frozen = false }) => {
    if (part !== 'adapters' || !frozen) return [];
    const found = there.get(name);
    if (found === undefined) return [`${name} is missing`];
    return shapeText(found) === shapeText(shape) ? [] : [`${name} has shape ${shapeText(found)}, the model's is ${shapeText(shape)}`];
  });
  if (problems.length > 0) throw new WeightsError(`the adapters of ${path} are not those to fuse:`, 'train them with the same size on the same base, as pfeiffer-16+hard for pfeiffer-16+fusion', problems);
}

/**
 * Weights that fusion begins with: those of the adapters and of what was trained beside them, over what `start` has.
 * @throws WeightsError where they are not those to fuse, or were trained on another base
 */
export function withFused(path: string, given: SavedModel, base: SavedModel, config: ModelConfig, start: Map<string, Float32Array>): Map<string, Float32Array> {
  checkFused(path, given.config, config);
  const result = new Map(start);
  const others = parametersOf(config).flatMap(({ name, frozen = false }) => {
    const values = given.weights.get(name);
    if (values === undefined) return [];
    result.set(name, values);
    const own = frozen ? base.weights.get(name) : undefined;
    return own === undefined || own.every((value, index) => value === values[index]) ? [] : [`${name} differs`];
  });
  if (others.length > 0) throw new WeightsError(`the adapters of ${path} were trained on another base:`, 'give the base that they were trained on', others);
  return result;
}

/** What the stage embed is asked for: of how many splits the images, of how many the captions too, and whether the prompts of classes. */
export interface AskedEmbeddings {
  readonly route: 'known' | 'predicted';
  readonly splits: number;
  readonly captioned: number;
  readonly classified: boolean;
}

/** Whether a model can give them. @throws ModelConfigError if not */
export function checkAsked({ name, adapter, decoder }: ModelConfig, { route, splits, captioned, classified }: AskedEmbeddings): void {
  if (route === 'predicted' && adapter?.routing !== 'hard') {
    throw new ModelConfigError(`${name} has no adapters among which a modality chooses, to be routed by one that is predicted`, 'take a model that was adapted with +hard, or leave route out');
  }
  if (decoder === undefined) return;
  if (classified && captioned > 0) throw new ModelConfigError('an encoder–decoder scores either captions or the prompts of classes for each image', 'put the splits into imagesOnly, or leave classes out');
  if (!classified && (splits !== 1 || captioned !== 1)) throw new ModelConfigError('an encoder–decoder scores each caption for each image of one split', 'ask for pairs of one, with its captions');
}

/** Whether a model folder is a model that can give them. */
export const embedProblem = (path: string, asked: AskedEmbeddings): Promise<GivenProblem | null> => problemOf(async () => checkAsked(await modelFolder(path), asked));

/** @throws ModelConfigError for a model that writes no captions */
export function checkWrites({ name, decoder }: ModelConfig): void {
  if (decoder === undefined) throw new ModelConfigError(`the model ${name} writes no captions: it has no decoder`, `take one that was adapted as ${decoderKinds.join(', ')}`);
}

/** Whether a model folder is a model that writes captions. */
export const writingProblem = (path: string): Promise<GivenProblem | null> => problemOf(async () => checkWrites(await modelFolder(path)));
