import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelSize } from '../../src/study/nn/model-size.ts';
import { loadModel, saveModel } from '../../src/study/nn/model-folder.ts';
import { stage } from '../../stages/evaluate.ts';
import { stage as train } from '../../stages/train.ts';
import { outputs, readLines, recordingReport, surroundings, tinyFolders } from './training-rig.ts';

let inputs: { images: string; tokens: string; model: string };
beforeAll(async () => {
  const data = await tinyFolders();
  const { folder, file } = outputs();
  const params = train.params.parse({ size: 'd16l1', epochs: 12, batch: 16, learningRate: 4e-3 });
  await train.run({ params, inputs: data, outputs: { model: folder, metrics: file }, report: recordingReport().report, ...surroundings() });
  inputs = { ...data, model: folder };
});

async function run(params: Readonly<Record<string, unknown>>, model = inputs.model) {
  const { folder, file } = outputs();
  const { report, told } = recordingReport();
  await stage.run({
    params: stage.params.parse(params),
    inputs: { ...inputs, model },
    outputs: { metrics: file, embeddings: folder },
    report,
    ...surroundings(),
  });
  return { folder, file, told, metrics: Object.fromEntries(readLines(file).map(({ metric, value }) => [metric, value])) };
}

describe('the stage evaluate', () => {
  it('gives, when asked, the loss at the logit scale that is best on validation pairs', async () => {
    const { metrics } = await run({ calibrate: true });
    const plain = (await run({})).metrics;
    expect(plain).not.toHaveProperty('loss_calibrated');
    expect(metrics['loss']).toBe(plain['loss']);
    expect(metrics['logit_scale_calibrated']).not.toBe(metrics['logit_scale']);
    expect(metrics['loss_calibrated']).toBeLessThan(Math.log(48));
  });

  it('reports loss and retrieval on the test split beside chance, and the model and compute behind them', async () => {
    const { metrics, folder, told } = await run({});
    const { config, training } = await loadModel(inputs.model);
    const size = modelSize(config);
    expect(metrics).toMatchObject({
      pool: 48,
      loss_chance: Math.log(48),
      parameters: size.parameters,
      non_embedding_parameters: size.nonEmbedding,
      macs_per_pair: size.macsPerPair,
      flops: 6 * size.macsPerPair * training.pairs_seen,
      pairs_seen: 12 * 144,
      unique_pairs: 144,
    });
    expect(metrics['loss']).toBeLessThan(0.8 * Math.log(48));
    for (const cutoff of [1, 5, 10]) {
      const [there, back] = ['image_to_text', 'text_to_image'].map((way) => metrics[`${way}_recall_at_${cutoff}`]!);
      expect(metrics[`recall_at_${cutoff}`]).toBeCloseTo((there! + back!) / 2, 12);
    }
    expect(metrics['recall_at_10']).toBeGreaterThan(1.5 * metrics['chance_at_10']!);
    expect(told.notes).toContain('the split has 48 pairs: the pool is that, not 256');

    const about = JSON.parse(readFileSync(join(folder, 'embeddings.json'), 'utf8')) as { count: number; width: number; ids: string[] };
    expect(about).toMatchObject({ count: 48, width: 16 });
    expect(about.ids[0]).toBe('tiny-192');
    const image = readFileSync(join(folder, 'image.f32'));
    expect(image.length).toBe(48 * 16 * 4);
    const length = Math.hypot(...Array.from({ length: 16 }, (_, index) => image.readFloatLE(4 * index)));
    expect(length).toBeCloseTo(1, 5);
  });

  it('gives the same bytes again, whatever the batch, and others for other pools', async () => {
    const first = await run({ pool: 16 });
    expect(readFileSync((await run({ pool: 16 })).file, 'utf8')).toBe(readFileSync(first.file, 'utf8'));
    const other = await run({ pool: 16, batch: 7 });
    expect(other.metrics['loss']).toBeCloseTo(first.metrics['loss']!, 5);
    expect((await run({ pool: 16, seed: 2 })).metrics['loss']).not.toBe(first.metrics['loss']);
  });

  it('ranks an untrained model like chance', async () => {
    const { config, training, weights } = await loadModel(inputs.model);
    for (const [name, values] of weights) if (name.endsWith('projection')) values.fill(0);
    const { folder } = outputs();
    await saveModel(folder, { config, training, weights });
    const { metrics } = await run({}, folder);
    expect(metrics['loss']).toBeCloseTo(Math.log(48), 5);
    expect(metrics['recall_at_1']).toBeLessThan(2 * metrics['chance_at_1']!);
  });

  it('refuses data that the model was not trained for, and a damaged model', async () => {
    const { config, training, weights } = await loadModel(inputs.model);
    const { folder } = outputs();
    const small = { ...config, text: { ...config.text, vocabulary: 30 } };
    weights.set('text.embedding', weights.get('text.embedding')!.subarray(0, 30 * 16));
    await saveModel(folder, { config: small, training, weights });
    await expect(run({}, folder)).rejects.toThrow('the model was trained with vocabulary 30, but these data have 40');
    const path = join(folder, 'weights.safetensors');
    writeFileSync(path, readFileSync(path).subarray(0, 4000));
    await expect(run({}, folder)).rejects.toThrow(/cut short/);
    await expect(run({}, outputs().folder)).rejects.toThrow(/model\.json cannot be read/);
  });
});
