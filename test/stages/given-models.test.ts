/** Models that a pipeline gives as files, refused by the whole program when it is loaded, at the input. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapterOf } from '../../src/study/nn/adapter-config.ts';
import { decoderOf } from '../../src/study/nn/decoder-config.ts';
import { exportForeign } from '../../src/study/nn/layouts/foreign-weights.ts';
import { checked, modelConfig, type ModelConfig } from '../../src/study/nn/model-config.ts';
import { saveModel, untrained } from '../../src/study/nn/model-folder.ts';
import { initialWeights, parametersOf } from '../../src/study/nn/parameters.ts';
import { writeSafeTensors } from '../../src/study/nn/safetensors.ts';
import { makeProject } from '../rig/pipe.ts';

const input = { resolution: 16, patch: 8, context: 8, vocabulary: 40 };
const small = modelConfig('d16l1', { input });
const root = mkdtempSync(join(tmpdir(), 'given-'));
const at = (name: string): string => join(root, name);
const save = (name: string, config: ModelConfig): Promise<void> => saveModel(at(name), { config, training: untrained('a test'), weights: initialWeights(parametersOf(config), 1) });

beforeAll(async () => {
  await save('small', small);
  await save('hard', checked({ ...small, adapter: adapterOf('pfeiffer-4+hard') }));
  await save('git', checked({ ...small, decoder: decoderOf('git') }));
  await save('mixed', small);
  // The configuration of one model with the weights of another.
  await writeSafeTensors(join(at('mixed'), 'weights.safetensors'), {
    tensors: new Map(parametersOf(modelConfig('d24l1', { input })).map(({ name, shape }) => [name, { shape, values: new Float32Array(shape.reduce((all, length) => all * length, 1)) }])),
    metadata: {},
  });
  await exportForeign(at('hugging-face'), 'huggingface', small, initialWeights(parametersOf(small), 1));
});

const figures = `
  images: { run: 'mkdir \${out.images}', out: { images: { path: images, kind: folder } } }
  tokens: { run: 'mkdir \${out.tokens}', out: { tokens: { path: tokens, kind: folder } } }
  base: { uses: train, in: { images: images.images, tokens: tokens.tokens }, with: { size: d16l1, pairs: 100 } }
  route: { run: 'touch \${out.predictions}', out: { predictions: predictions.jsonl } }
`;
const classes = '{ kinds: { from: modality, templates: ["{}"], classes: { a: [a], b: [b] } }, named: { from: caption, templates: ["{}"], classes: { a: [a], b: [b] } } }';
/** Params that are at fault, where no input is. */
const params = ['way', 'route', 'method', 'task'];
const said = 'patch: 8, input: { resolution: 16, context: 8, vocabulary: 50 }';

/** Inputs beside images and tokens, stage and params, and what is said of which input or param; null where nothing is wrong. */
const cases: readonly (readonly [about: string, given: string, uses: string, params: string, input: string | null, message: RegExp])[] = [
  ['another width', `weights: ${at('small')}`, 'train', `size: d24l1, ${said}, pairs: 100`, 'weights', /image\.patch\.weight has shape \[192, 16\], the model's is \[192, 24\]/],
  ['another width, of data that are not known', `weights: ${at('small')}`, 'train', 'size: d24l1, pairs: 100', 'weights', /image\.patch\.weight has shape \[192, 16\], the model's is \[192, 24\]/],
  ['more layers', `weights: ${at('small')}`, 'train', `size: d16l2, ${said}, pairs: 100`, 'weights', /image\.block1\.attention\.norm\.gain is missing/],
  ['another context', `weights: ${at('small')}`, 'train', 'size: d16l1, patch: 8, input: { resolution: 16, context: 12, vocabulary: 40 }, pairs: 100', 'weights', /text\.positions has shape \[8, 16\], the model's is \[12, 16\]/],
  ['a larger vocabulary', `weights: ${at('small')}`, 'train', 'size: d16l1, patch: 8, input: { resolution: 16, context: 8, vocabulary: 30 }, pairs: 100', 'weights', /text\.embedding has shape \[40, 16\], the model's is \[30, 16\]/],
  ['Hugging Face, another width', `weights: ${at('hugging-face')}`, 'train', `size: d24l1, ${said}, pairs: 100`, 'weights', /image\.patch\.weight has shape \[192, 16\], the model's is \[192, 24\]/],
  ['a folder without weights', `weights: ${root}`, 'train', `size: d16l1, ${said}, pairs: 100`, 'weights', /holds neither model\.safetensors nor/],
  ['weights that fit', `weights: ${at('small')}`, 'train', `size: d16l1, ${said}, pairs: 100`, null, /^$/],
  ['weights that fit from Hugging Face', `weights: ${at('hugging-face')}`, 'train', 'size: d16l1, patch: 8, pairs: 100', null, /^$/],
  ['a base whose parts are of two models', `base: ${at('mixed')}`, 'adapt', 'way: lora-4, flops: 1e9', 'base', /"image\.patch\.weight" has shape \[192, 24\], not \[192, 16\]/],
  ['a base in a foreign layout', `base: ${at('hugging-face')}`, 'adapt', 'way: lora-4, flops: 1e9', 'base', /is no model folder.*pipe weights import/s],
  ['adapters of another size', `base: ${at('small')}, adapters: ${at('hard')}`, 'adapt', 'way: pfeiffer-8+fusion, flops: 1e9', 'adapters', /adapter\.ct\.down\.weight has shape \[16, 4\], the model's is \[16, 8\]/],
  ['adapters beside a way that fuses none', `base: ${at('small')}, adapters: ${at('hard')}`, 'adapt', 'way: lora-4, flops: 1e9', 'adapters', /lora-4 fuses no adapters.*leave the input out/s],
  ['adapters of another stage beside a way that fuses none', 'base: base.model, adapters: base.model', 'adapt', 'way: full, flops: 1e9', 'adapters', /full fuses no adapters/],
  ['a base with adapters of its own', `base: ${at('hard')}`, 'adapt', 'way: lora-4, flops: 1e9', 'base', /d16l1 is no base, as it has adapters of its own \(pfeiffer\).*give the model that they were trained on/s],
  ['fusion without adapters', `base: ${at('small')}`, 'adapt', 'way: pfeiffer-4+fusion, flops: 1e9', 'way', /pfeiffer-4\+fusion attends over adapters that were trained before, and the stage has no input `adapters`.*train pfeiffer-4\+hard on the same base/s],
  ['fusion without adapters, on a base that is yet to be trained', 'base: base.model', 'adapt', 'way: pfeiffer-4+fusion, flops: 1e9', 'way', /attends over adapters that were trained before/],
  ['fusion of adapters that are yet to be trained', 'base: base.model, adapters: base.model', 'adapt', 'way: pfeiffer-4+fusion, flops: 1e9', null, /^$/],
  ['a base as it is', `base: ${at('small')}`, 'adapt', 'way: frozen, flops: 1e9', null, /^$/],
  ['predicted routes without predictions', 'model: base.model', 'embed', 'route: predicted', 'route', /predicted routes need the input `routes` and the input `captions`.*a stage with uses: classify/s],
  ['predicted routes of a model without adapters', `model: ${at('small')}, routes: route.predictions, captions: ./captions.jsonl`, 'embed', 'route: predicted', 'model', /d16l1 has no adapters among which a modality chooses/],
  ['predicted routes of adapters', `model: ${at('hard')}, routes: route.predictions, captions: ./captions.jsonl`, 'embed', 'route: predicted', null, /^$/],
  ['predictions that no route goes by', 'model: base.model, routes: route.predictions', 'embed', '', 'routes', /known routes are the labels.*say route: predicted/s],
  ['an encoder–decoder of which classes are asked beside captions', `model: ${at('git')}`, 'embed', `classes: ${classes}`, 'model', /scores either captions or the prompts of classes.*imagesOnly/s],
  ['an encoder–decoder of which images alone are asked', `model: ${at('git')}`, 'embed', 'imagesOnly: [test]', 'model', /scores each caption for each image of one split/],
  ['an encoder–decoder of which classes are asked', `model: ${at('git')}`, 'embed', `classes: ${classes}, imagesOnly: [test]`, null, /^$/],
  ['a model that is to write and has no decoder', `model: ${at('small')}`, 'write-captions', '', 'model', /the model d16l1 writes no captions: it has no decoder.*coca, git, prefix-lm/s],
  ['a model that is to write', `model: ${at('git')}`, 'write-captions', '', null, /^$/],
  ['classes of nothing', '', 'classify', `classes: ${classes}, task: kinds, method: zero-shot`, 'method', /neither of the inputs `embeddings` and `scores`/],
  ['classes by two models', 'embeddings: ./embeddings, scores: ./embeddings', 'classify', `classes: ${classes}, task: kinds, method: zero-shot`, 'method', /are of two models/],
  ["a probe on an encoder–decoder's scores", 'scores: ./embeddings', 'classify', `classes: ${classes}, task: kinds, method: linear-probe`, 'method', /linear-probe needs embeddings of images.*take method: zero-shot/s],
  ['classes that are read off captions which are not given', 'embeddings: ./embeddings', 'classify', `classes: ${classes}, task: named, method: zero-shot`, 'task', /the classes of named are read off captions, and the stage has no input `captions`/],
  ['adapters that are to be fused', `base: ${at('small')}, adapters: ${at('hard')}`, 'adapt', 'way: pfeiffer-4+fusion, flops: 1e9', null, /^$/],
];

const stageOf = (index: number, [, given, uses, params]: (typeof cases)[number]): string =>
  `  case${index}: { uses: ${uses}, in: { ${uses === 'classify' ? '' : 'images: images.images, tokens: tokens.tokens, '}${given} }, with: { ${params} } }\n`;
const pipeline = (indices: readonly number[]): string => `pipeline: given\nstages:${figures}\n${indices.map((index) => stageOf(index, cases[index]!)).join('')}`;

describe('a model that is given as files', () => {
  const project = makeProject({ 'bad.yaml': pipeline(cases.map((_, index) => index)), 'good.yaml': pipeline([7]), 'package.json': '{}' });
  afterAll(() => project.remove());
  let diagnostics: readonly { code: string; message: string; hint: string; position: { line: number } }[] = [];

  it('is looked at when the pipeline is loaded, all in one go, with exit code 2', () => {
    const { stdout, code } = project.pipe(['validate', 'bad.yaml', '--json']);
    expect(code).toBe(2);
    ({ diagnostics } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { diagnostics: typeof diagnostics });
    expect(diagnostics).toHaveLength(cases.filter(([, , , , wrong]) => wrong !== null).length);
  });

  it.each(cases.map(([about, , , , wrong, message], index) => [about, index, wrong, message] as const))('%s', (_, index, wrong, message) => {
    const found = diagnostics.filter((one) => one.message.includes(`\`case${index}\``));
    if (wrong === null) return expect(found).toEqual([]);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ code: params.includes(wrong) ? 'bad-param' : 'bad-input', position: { line: pipeline(cases.map((__, i) => i)).split('\n').findIndex((line) => line.includes(`case${index}:`)) + 1 } });
    expect(found[0]!.message).toMatch(new RegExp(`^${params.includes(wrong) ? `\`with.${wrong}\`` : `input \`${wrong}\``} of stage`));
    expect(`${found[0]!.message} ${found[0]!.hint}`).toMatch(message);
  });

  it('is looked at again when it has changed, though the pipeline has not', async () => {
    expect(project.pipe(['validate', 'good.yaml']).code).toBe(0);
    await save('small', modelConfig('d20l1', { input }));
    const { code, stderr } = project.pipe(['run', 'good.yaml', '--dry']);
    await save('small', small);
    expect(code).toBe(2);
    expect(stderr).toContain("image.patch.weight has shape [192, 20], the model's is [192, 16]");
  });
});
