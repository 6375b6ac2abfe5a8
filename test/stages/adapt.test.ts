import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { stage as adapt } from '../../stages/adapt.ts';
import { stage as evaluate } from '../../stages/evaluate.ts';
import { stage as trainBase } from '../../stages/train.ts';
import { stage as writeCaptions } from '../../stages/write-captions.ts';
import { loadModel, saveModel } from '../../src/study/nn/model-folder.ts';
import { embedded, outputs, readLines, recordingReport, surroundings, tinyFolders } from './training-rig.ts';

let inputs: Awaited<ReturnType<typeof tinyFolders>>;
let base: string;
beforeAll(async () => {
  inputs = await tinyFolders();
  const { folder, file } = outputs();
  const params = trainBase.params.parse({ size: 'd16l1', pairs: 480, batch: 16, learningRate: 3e-3 });
  await trainBase.run({ params, inputs, outputs: { model: folder, metrics: file }, report: recordingReport().report, ...surroundings() });
  base = folder;
});

async function run(way: string, flops: number, adapters?: string) {
  const { folder, file } = outputs();
  const { report, told } = recordingReport();
  const params = adapt.params.parse({ way, flops, batch: 16, learningRate: 3e-3 });
  await adapt.run({ params, inputs: { ...inputs, base, adapters }, outputs: { model: folder, metrics: file }, report, ...surroundings() });
  const evaluated = outputs();
  await evaluate.run({
    params: evaluate.params.parse({ pool: 16 }),
    inputs: await embedded({ ...inputs, model: folder }, { pairs: { test: 16 } }),
    outputs: { metrics: evaluated.file },
    report: recordingReport().report,
    ...surroundings(),
  });
  return { folder, told, metrics: new Map(readLines(evaluated.file).map(({ metric, value }) => [metric, value])) };
}

describe('the stage adapt', () => {
  it('trains adapters on a frozen base, counts both, and fuses what was trained', async () => {
    const hard = await run('pfeiffer-4+hard', 5e7);
    const { config, training, weights } = await loadModel(hard.folder);
    const before = await loadModel(base);
    expect(config.adapter).toMatchObject({ kind: 'pfeiffer', size: 4, routing: 'hard' });
    expect(weights.get('image.patch.weight')).toEqual(before.weights.get('image.patch.weight'));
    expect(training.flops).toBeGreaterThan(before.training.flops);
    expect(training.flops - before.training.flops).toBeLessThan(1.2 * 5e7);
    expect(hard.metrics.get('flops')).toBe(training.flops);
    expect(hard.metrics.get('trainable_parameters')).toBe(2 * 5 * (2 * 16 * 4 + 16 + 4));
    const { folder } = await run('pfeiffer-4+fusion', 1e8, hard.folder);
    const key = 'image.block0.mlp.adapter.ct.up.weight';
    const fused = await loadModel(folder);
    expect(fused.weights.get(key)).toEqual(weights.get(key));
    // It began as the identity of width 16.
    expect(fused.weights.get('image.block0.mlp.adapter.fusion.value')!.some((value, i) => value !== Number(i % 17 === 0))).toBe(true);
    // What the adapters have cost is a part of what fusion may spend.
    expect(fused.training.flops).toBeGreaterThan(training.flops);
    expect(fused.training.flops - before.training.flops).toBeLessThan(1.2 * 1e8);
    await expect(run('pfeiffer-4+fusion', 2e7, hard.folder)).rejects.toThrow(/the adapters have cost .* FLOP on top of the base, which leaves nothing of 2\.00e\+7/);
    await expect(run('pfeiffer-4+fusion', 5e7)).rejects.toThrow(/give them as the input adapters/);
  });

  it('takes norms that were trained beside adapters over, and refuses adapters of another base', async () => {
    const hard = await run('houlsby-2+hard', 5e7);
    const fused = await run('houlsby-2+fusion', 1e8, hard.folder);
    const [given, after] = [await loadModel(hard.folder), await loadModel(fused.folder)];
    const norm = 'image.block0.mlp.norm.gain';
    const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((value, i) => value - b[i]!));
    expect(distance(after.weights.get(norm)!, given.weights.get(norm)!)).toBeLessThan(distance(after.weights.get(norm)!, (await loadModel(base)).weights.get(norm)!));
    const other = outputs().folder;
    const weights = new Map(given.weights).set('image.patch.weight', given.weights.get('image.patch.weight')!.map((value) => value + 1));
    await saveModel(other, { ...given, weights });
    await expect(run('houlsby-2+fusion', 1e8, other)).rejects.toThrow(/were trained on another base:\n {2}image\.patch\.weight differs/);
  });

  it('passes the base on as it is when nothing is to be trained', async () => {
    const frozen = await run('frozen', 5e7);
    const [before, after] = [await loadModel(base), await loadModel(frozen.folder)];
    expect(after).toEqual(before);
  });

  it('trains an encoder–decoder for as much as base and adapter, scores it by likelihood, and lets it write', async () => {
    const git = await run('git', 1.5e9);
    const { config, training } = await loadModel(git.folder);
    expect(config.decoder).toMatchObject({ kind: 'git' });
    expect(training.flops).toBeGreaterThan(1.5e9);
    // Captions differ in five bits and the likelihood tells many of them apart; chance is ln 16.
    expect(git.metrics.get('loss')).toBeLessThan(0.9 * Math.log(16));
    for (const beams of [1, 3]) {
      const { folder: _, file } = outputs();
      const captions = `${file}.captions`;
      await writeCaptions.run({
        params: writeCaptions.params.parse({ count: 3, beams }),
        inputs: { ...inputs, model: git.folder },
        outputs: { captions, metrics: file },
        report: recordingReport().report,
        ...surroundings(),
      });
      const lines = readFileSync(captions, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { written: string; caption: string });
      expect(lines).toHaveLength(3);
      // Start, five bits, end: the form at least is learned.
      for (const { written } of lines) expect(written).toMatch(/^38( \d+){5} 39$/);
    }
  });

  it('refuses to let a model write that has no decoder', async () => {
    const { file } = outputs();
    const params = writeCaptions.params.parse({});
    const call = writeCaptions.run({ params, inputs: { ...inputs, model: base }, outputs: { captions: `${file}.c`, metrics: file }, report: recordingReport().report, ...surroundings() });
    await expect(call).rejects.toThrow(/it has no decoder/);
  });
});
