import { existsSync, statSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ModelConfig } from '../model-config.ts';
import { checkedFolder, loadModel } from '../model-folder.ts';
import type { Weights } from '../parameters.ts';
import { parametersOf } from '../parameters.ts';
import { readSafeTensors, readSafeTensorShapes, writeSafeTensors } from '../safetensors.ts';
import type { SafeTensor } from '../safetensors.ts';
import { huggingFaceConfig, huggingFaceIgnored, huggingFaceLayout } from './hugging-face.ts';
import { inferConfig, layoutOf } from './infer-config.ts';
import { checkLayout, fromForeign, refuseSharing, shapeText, toForeign, WeightsError } from './layout.ts';
import type { LayoutEntry, LayoutName } from './layout.ts';
import { openAiIgnored, openAiLayout } from './openai.ts';

const layouts: Readonly<Record<LayoutName, { entries(config: ModelConfig): LayoutEntry[]; ignored: RegExp }>> = {
  openai: { entries: openAiLayout, ignored: openAiIgnored },
  huggingface: { entries: huggingFaceLayout, ignored: huggingFaceIgnored },
};

type Shaped = Pick<SafeTensor, 'shape'>;

export interface ForeignFile<T extends Shaped = SafeTensor> {
  readonly tensors: ReadonlyMap<string, T>;
  /** What `config.json` beside the weights says; null without one. */
  readonly described: unknown;
}

/** A safetensors file, or a folder with `model.safetensors` (whole, or in the parts that an index lists) and `config.json`. */
export const readForeign = (path: string): Promise<ForeignFile> => readWith(path, async (file) => (await readSafeTensors(file)).tensors);

/** @param tensorsOf reads one safetensors file, or its header alone */
async function readWith<T extends Shaped>(path: string, tensorsOf: (file: string) => Promise<ReadonlyMap<string, T>>): Promise<ForeignFile<T>> {
  if (!existsSync(path)) throw new WeightsError(`there is no ${path}`, 'give a safetensors file, or a folder that holds model.safetensors');
  if (!statSync(path).isDirectory()) {
    if (/\.(pt|pth|bin|ckpt)$/.test(path)) {
      throw new WeightsError(`${path} is a pickle, which can run any code when it is opened`, 'convert it in Python: safetensors.torch.save_file(torch.load(PATH, weights_only=True), "weights.safetensors")');
    }
    const beside = join(dirname(resolve(path)), 'config.json');
    return { tensors: await tensorsOf(path), described: basename(path) === 'model.safetensors' && existsSync(beside) ? await readJson(beside) : null };
  }
  const described = existsSync(join(path, 'config.json')) ? await readJson(join(path, 'config.json')) : null;
  const index = join(path, 'model.safetensors.index.json');
  if (existsSync(join(path, 'model.safetensors'))) return { tensors: await tensorsOf(join(path, 'model.safetensors')), described };
  if (!existsSync(index)) throw new WeightsError(`${path} holds neither model.safetensors nor model.safetensors.index.json`, 'give the safetensors file itself');
  const { weight_map: map } = (await readJson(index)) as { weight_map: Readonly<Record<string, string>> };
  const tensors = new Map<string, T>();
  for (const file of new Set(Object.values(map))) for (const [name, tensor] of await tensorsOf(join(path, file))) tensors.set(name, tensor);
  return { tensors, described };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new WeightsError(`${path} is not JSON`, `read it: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** Names without the prefix that data-parallel training puts before each of them. */
function withoutPrefix<T>(tensors: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const prefix = ['module.', 'model.'].find((text) => [...tensors.keys()].every((name) => name.startsWith(text)));
  return prefix === undefined ? tensors : new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** What a file's tensors make together. @throws WeightsError when it is of no known layout or does not fit itself */
function recognised<T extends Shaped>(path: string, { tensors: all, described }: ForeignFile<T>): { layout: LayoutName; config: ModelConfig; tensors: ReadonlyMap<string, T> } {
  const tensors = withoutPrefix(all);
  const layout = layoutOf(tensors);
  if (layout === null) {
    throw new WeightsError(`${path} holds weights of neither OpenAI's CLIP (visual.conv1.weight) nor Hugging Face's CLIPModel (vision_model.…)`, 'pipe weights info FILE shows what a file holds');
  }
  return { layout, config: inferConfig(layout, basename(path).replace(/\.safetensors$/, ''), tensors, described), tensors };
}

/** A model that another library saved, by path. @throws WeightsError when it is of no known layout or does not fit itself */
export async function importForeign(path: string): Promise<{ layout: LayoutName; config: ModelConfig; weights: Map<string, Float32Array> }> {
  const { layout, config, tensors } = recognised(path, await readForeign(path));
  const { entries, ignored } = layouts[layout];
  return { layout, config, weights: fromForeign(config, entries(config), tensors, ignored) };
}

/**
 * The configuration of a model folder of ours, or of what importForeign takes, from headers alone.
 * @throws WeightsError as importForeign does
 */
export async function configOfWeights(path: string): Promise<ModelConfig> {
  if (existsSync(join(path, 'model.json'))) return checkedFolder(path);
  const { layout, config, tensors } = recognised(path, await readWith(path, readSafeTensorShapes));
  const { entries, ignored } = layouts[layout];
  checkLayout(config, entries(config), tensors, ignored);
  return config;
}

/**
 * Writes a model as another library reads it: for `openai` the file `path`, a state dict; for `huggingface` the folder `path`
 * with `config.json` and `model.safetensors`, as `CLIPModel.from_pretrained` takes it.
 */
export async function exportForeign(path: string, layout: LayoutName, config: ModelConfig, weights: Weights): Promise<void> {
  refuseSharing(config, layout);
  const tensors = toForeign(layouts[layout].entries(config), weights);
  if (layout === 'openai') {
    await mkdir(dirname(resolve(path)), { recursive: true });
    await writeSafeTensors(path, { tensors, metadata: { format: 'pt' } });
    return;
  }
  await mkdir(path, { recursive: true });
  await writeSafeTensors(join(path, 'model.safetensors'), { tensors, metadata: { format: 'pt' } });
  await writeFile(join(path, 'config.json'), `${JSON.stringify(huggingFaceConfig(config), null, 2)}\n`);
}

/**
 * That a model can start from weights of the configuration `found`: of the very same shapes, and as many heads.
 * @throws WeightsError naming each parameter that does not fit
 */
export function checkStart(path: string, found: ModelConfig, config: ModelConfig): void {
  const problems: string[] = [];
  const expected = new Map(parameterShapes(config));
  for (const [name, shape] of parameterShapes(found)) {
    const wanted = expected.get(name);
    if (wanted === undefined) problems.push(`${name} has no place in the model`);
    else if (shapeText(wanted) !== shapeText(shape)) problems.push(`${name} has shape ${shapeText(shape)}, the model's is ${shapeText(wanted)}`);
    expected.delete(name);
  }
  for (const name of expected.keys()) problems.push(`${name} is missing`);
  if (problems.length > 0) throw new WeightsError(`the weights of ${path} do not fit the model ${config.name}:`, 'choose the size, resolution, context and vocabulary that the weights were trained with', problems);
  if (found.image.heads !== config.image.heads || found.text.heads !== config.text.heads) {
    const heads = ({ image, text }: ModelConfig): string => `${image.heads} and ${text.heads}`;
    throw new WeightsError(`the weights of ${path} are of ${heads(found)} heads, the model ${config.name} has ${heads(config)}`, `headWidth: ${found.text.width / found.text.heads}`);
  }
}

/** Weights to start a model from: a model folder of ours, or what importForeign takes. @throws WeightsError as checkStart does, before it reads them */
export async function startingWeights(path: string, config: ModelConfig): Promise<Map<string, Float32Array>> {
  checkStart(path, await configOfWeights(path), config);
  return (existsSync(join(path, 'model.json')) ? await loadModel(path) : await importForeign(path)).weights;
}

const parameterShapes = (config: ModelConfig): [string, readonly number[]][] => parametersOf(config).map(({ name, shape }) => [name, shape]);
