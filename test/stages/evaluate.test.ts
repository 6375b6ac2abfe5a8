import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelSize } from '../../src/study/nn/model-size.ts';
import { loadModel, saveModel } from '../../src/study/nn/model-folder.ts';
import { stage } from '../../stages/evaluate.ts';
import { stage as train } from '../../stages/train.ts';
import { embedded, outputs, readLines, recordingReport, surroundings, tinyFolders } from './training-rig.ts';

let inputs: { images: string; tokens: string; model: string };
let whole: string;
beforeAll(async () => {
  const data = await tinyFolders();
  const { folder, file } = outputs();
  const params = train.params.parse({ size: 'd16l1', epochs: 12, batch: 16, learningRate: 4e-3 });
  await train.run({ params, inputs: data, outputs: { model: folder, metrics: file }, report: recordingReport().report, ...surroundings() });
  inputs = { ...data, model: folder };
  whole = (await embedded(inputs, { pairs: { validation: 'all' } })).embeddings;
});

async function run(params: Readonly<Record<string, unknown>>, embeddings: string = whole) {
  const { file } = outputs();
  const { report, told } = recordingReport();
  await stage.run({ params: stage.params.parse(params), inputs: { embeddings }, outputs: { metrics: file }, report, ...surroundings() });
  return { file, told, metrics: Object.fromEntries(readLines(file).map(({ metric, value }) => [metric, value])) };
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
    const { metrics, told } = await run({});
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
    expect(told.notes).toContain('48 pairs of the split are embedded: the pool is that, not 256');
  });

  it('gives the same bytes again, other pools by seed and size, and the same to rounding whatever the batch', async () => {
    const first = await run({ pool: 16, pools: [8] });
    expect(readFileSync((await run({ pool: 16, pools: [8] })).file, 'utf8')).toBe(readFileSync(first.file, 'utf8'));
    expect(first.metrics['recall_at_1_pool_8']).toBe((await run({ pool: 8 })).metrics['recall_at_1']);
    expect((await run({ pool: 16, seed: 2 })).metrics['loss']).not.toBe(first.metrics['loss']);
    const other = await run({ pool: 16 }, (await embedded(inputs, { batch: 7 })).embeddings);
    expect(other.metrics['loss']).toBeCloseTo(first.metrics['loss']!, 5);
  });

  it('ranks an untrained model like chance', async () => {
    const { config, training, weights } = await loadModel(inputs.model);
    for (const [name, values] of weights) if (name.endsWith('projection')) values.fill(0);
    const { folder } = outputs();
    await saveModel(folder, { config, training, weights });
    const { metrics } = await run({}, (await embedded({ ...inputs, model: folder })).embeddings);
    expect(metrics['loss']).toBeCloseTo(Math.log(48), 5);
    expect(metrics['recall_at_1']).toBeLessThan(2 * metrics['chance_at_1']!);
  });

  it('says which pairs are to be embedded first, and refuses what is no embeddings', async () => {
    const { embeddings } = await embedded(inputs);
    await expect(run({ split: 'train' }, embeddings)).rejects.toThrow('0 pairs of the split "train" are embedded; retrieval needs at least 2: ask embed for them, pairs: { train: all }');
    await expect(run({ calibrate: true }, embeddings)).rejects.toThrow(/calibration needs embedded pairs .*pairs: \{ validation: all, test: all \}/);
    const { embeddings: bare } = await embedded(inputs, { imagesOnly: ['test'] });
    await expect(run({}, bare)).rejects.toThrow('only the images of the split "test" are embedded: take it out of imagesOnly of the stage embed');
    await expect(run({}, inputs.model)).rejects.toThrow(/embeddings\.json cannot be read: are these the embeddings/);
    writeFileSync(join(embeddings, 'rows.jsonl'), '');
    await expect(run({}, embeddings)).rejects.toThrow(/rows\.jsonl has 0 rows; embeddings\.json asks for 48/);
  });
});
