/** The model against PyTorch and Hugging Face's transformers on the same weights. Needs PIPE_TEST_PYTHON (docs/weights.md). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { clipMean, clipStd } from '../../src/study/data/image-shards.ts';
import { randomOf } from '../../src/study/data/random.ts';
import type { ImageSource, TokenSource } from '../../src/study/nn/batches.ts';
import { embedImages, embedTexts } from '../../src/study/nn/clip.ts';
import { embedder } from '../../src/study/nn/embed.ts';
import type { Tensor } from '../../src/study/nn/kernels.ts';
import { contrastiveLoss } from '../../src/study/nn/layers.ts';
import { exportForeign, importForeign } from '../../src/study/nn/layouts/foreign-weights.ts';
import type { ModelConfig } from '../../src/study/nn/model-config.ts';
import { modelConfig, patchCount } from '../../src/study/nn/model-config.ts';
import { saveModel, untrained } from '../../src/study/nn/model-folder.ts';
import { digestOfWeights, initialWeights, parametersOf } from '../../src/study/nn/parameters.ts';
import { readSafeTensors, writeSafeTensors } from '../../src/study/nn/safetensors.ts';
import { Tape } from '../../src/study/nn/tape.ts';
import { runPython, skipWithoutPython } from '../rig/python.ts';
import { hasNative, openTestBackend } from '../study/nn/backends.ts';

const folder = mkdtempSync(join(tmpdir(), 'pytorch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const farthest = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - b[index]!)), 0);
};

describe.skipIf(skipWithoutPython)('against PyTorch (needs PIPE_TEST_PYTHON)', () => {
  it("gives the embeddings of transformers' CLIPModel of ViT-B/32's shapes to 1e-4, and writes it back the same", async () => {
    await runPython('random_clip_model.py', folder);
    const { layout, config, weights } = await importForeign(join(folder, 'model'));
    expect(layout).toBe('huggingface');
    expect({ ...config, name: 'B/32' }).toEqual(modelConfig('B/32'));
    const { tensors } = await readSafeTensors(join(folder, 'cases.safetensors'));
    const values = (name: string): Float32Array => tensors.get(name)!.values;
    const pixels = Uint8Array.from(values('pixels'));
    const images: ImageSource = {
      count: 4,
      resolution: 224,
      channels: 3,
      mean: clipMean,
      std: clipStd,
      read: (indices, out) => Array.from(indices).forEach((index, at) => out.set(pixels.subarray(index * 224 * 224 * 3, (index + 1) * 224 * 224 * 3), at * 224 * 224 * 3)),
    };
    const tokens: TokenSource = { count: 4, context: 77, vocabulary: 49408, ids: Int32Array.from(values('ids')), lengths: Uint16Array.from(values('lengths')) };
    const embed = embedder(await openTestBackend(hasNative ? 'tensorflow' : 'wasm'), config, weights, images, tokens, 4);
    const { image, text } = await embed.embed([0, 1, 2, 3]);
    embed.dispose();
    const differences = { image: farthest(image, values('image')), text: farthest(text, values('text')) };
    console.log(`transformers' CLIPModel: image embeddings differ by ${differences.image.toExponential(1)}, text by ${differences.text.toExponential(1)}`);
    expect(differences.image).toBeLessThan(1e-4);
    expect(differences.text).toBeLessThan(1e-4);

    await exportForeign(join(folder, 'back'), 'huggingface', config, weights);
    expect(digestOfWeights((await importForeign(join(folder, 'back'))).weights)).toBe(digestOfWeights(weights));
    expect(await runPython('open_clip_model.py', join(folder, 'model'), join(folder, 'back'))).toBe('equal');
  });

  // In CI native TensorFlow is installed; its absence fails there when the backend is opened.
  const skipped = (name: string): boolean => name === 'tensorflow' && !hasNative && process.env['CI'] === undefined;
  it.for(['wasm', 'tensorflow'] as const)('gives the loss to 1e-5 and gradients to 1e-4 on %s', async (name, context) => {
    context.skip(skipped(name), 'native TensorFlow is not installed');
    const base = modelConfig('d64l3', { input: { resolution: 32, patch: 8, context: 12, vocabulary: 80 } });
    const config: ModelConfig = { ...base, image: { ...base.image, width: 96, heads: 3 }, embedding: 48 };
    const parameters = parametersOf(config);
    const weights = initialWeights(parameters, 3);
    const random = randomOf('pytorch');
    for (const [key, array] of weights) if (/gain|bias/.test(key)) array.forEach((value, index) => (array[index] = value + 0.1 * random.normal()));
    const batch = 6;
    const feeds = {
      patches: Float32Array.from({ length: batch * patchCount(config) * 192 }, () => random.normal()),
      ids: Int32Array.from({ length: batch * 12 }, () => random.below(80)),
      ends: Int32Array.from({ length: batch }, (_, row) => row * 12 + random.below(12)),
    };
    const model = join(folder, `model-${name}`);
    await saveModel(model, { config, weights, training: untrained('a test') });
    const cases = new Map([
      ['patches', { shape: [batch * patchCount(config), 192], values: feeds.patches }],
      ['ids', { shape: [batch, 12], values: Float32Array.from(feeds.ids) }],
      ['ends', { shape: [batch], values: Float32Array.from(feeds.ends) }],
    ]);
    await writeSafeTensors(`${model}/cases.safetensors`, { tensors: cases, metadata: {} });
    await runPython('clip_gradients.py', model, `${model}/cases.safetensors`, `${model}/expected.safetensors`);
    const { tensors: expected } = await readSafeTensors(`${model}/expected.safetensors`);

    const backend = await openTestBackend(name);
    const step = backend.compileStep(
      (kernels, given, access) => {
        const tape = new Tape(kernels);
        const watched = new Map(parameters.map((parameter) => [parameter.name, tape.watch(access.read(parameter.name))]));
        const weight = (key: string): Tensor => watched.get(key)!;
        const image = embedImages(tape, weight, config, { patches: given['patches']! }, batch);
        const text = embedTexts(tape, weight, config, { ids: given['ids']!, ends: given['ends']! }, batch);
        const loss = contrastiveLoss(tape, image, text, weight('logit_scale'));
        const gradients = tape.gradients(loss, kernels.constant(Float32Array.of(1), []), watched);
        return { 'out/image': image, 'out/text': text, 'out/loss': loss, ...Object.fromEntries(gradients) };
      },
      {
        patches: { shape: [batch * patchCount(config), 192], dtype: 'float32' },
        ids: { shape: [batch * 12], dtype: 'int32' },
        ends: { shape: [batch], dtype: 'int32' },
      },
      { state: new Map(parameters.map(({ name: key, shape }) => [key, { shape, values: weights.get(key)! }])) },
    );
    const found = step.call(feeds);
    step.dispose();
    expect(Object.keys(found).sort()).toEqual([...expected.keys()].sort());
    let worst = { name: '', difference: 0 };
    for (const [key, values] of Object.entries(found)) {
      const reference = expected.get(key)!.values;
      const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const difference = farthest(values, reference);
      if (key.startsWith('out/')) expect(difference, key).toBeLessThan(1e-5);
      else expect(difference, key).toBeLessThan(1e-4 * Math.max(1, largest));
      if (!key.startsWith('out/') && difference > worst.difference) worst = { name: key, difference };
    }
    console.log(`${backend.label}: the loss differs by ${farthest(found['out/loss']!, expected.get('out/loss')!.values).toExponential(1)}, the gradient most in ${worst.name}, by ${worst.difference.toExponential(1)}`);
  });
});
