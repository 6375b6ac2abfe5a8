import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { randomOf } from '../../src/study/data/random.ts';
import { writeEmbeddings } from '../../src/study/eval/embedding-folder.ts';
import { readMetrics } from '../../src/study/metric-lines.ts';
import { stage } from '../../stages/classify.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const modality = { from: 'modality' as const, templates: ['a {} image'], classes: { ct: ['ct'], mri: ['mri'], 'x-ray': ['xray'] } };
const organ = { from: 'caption' as const, templates: ['the {}'], classes: { brain: ['brain'], knee: ['knee'] } };
const classes = { modality, organ };

/** 240 images near the direction of their modality in six dimensions; prompts point the same way, but for a part that all share. */
async function folder(kind: 'embeddings' | 'scores' = 'embeddings') {
  const random = randomOf('classify');
  const names = ['ct', 'mri', 'x-ray', 'nuclear'];
  const [count, width] = [240, 6];
  const values = new Float32Array(count * width);
  const rows = Array.from({ length: count }, (_, row) => {
    const own = Array.from({ length: width }, (__, i) => (i === row % 4 ? 1 : 0) + 0.3 * random.normal());
    own.forEach((value, i) => (values[row * width + i] = value / Math.hypot(...own)));
    const split = row < 120 ? ('train' as const) : row < 180 ? ('validation' as const) : ('test' as const);
    return { id: `r${row}`, group: `g${row >> 1}`, split, modality: names[row % 4]!, caption: null };
  });
  const prompts = ['a ct image', 'a mri image', 'a xray image', 'the brain', 'the knee'];
  const directions = Float32Array.from(prompts.flatMap((_, of) => Array.from({ length: width }, (__, i) => (i === of % 3 ? 0.3 : i === 5 ? 0.95 : 0))));
  const embeddings = await temporaryFolder();
  const facts = [{ metric: 'parameters', value: 1000 }];
  await writeEmbeddings(embeddings, { kind, width, logitScale: 10, rows, image: values, text: values, prompts: { texts: prompts, values: directions }, facts });
  const captions = join(embeddings, 'captions.jsonl');
  await writeFile(captions, rows.map(({ id, split, group }, row) => `${JSON.stringify({ id, split, group, caption: row % 4 < 2 ? 'a brain' : row % 4 === 2 ? 'a knee' : 'nothing' })}\n`).join(''));
  return { embeddings, captions };
}

describe('the stage classify', () => {
  let inputs: { embeddings: string | undefined; scores: string | undefined; captions: string };
  beforeEach(async () => {
    inputs = { ...(await folder()), scores: undefined };
  });
  const run = async (params: Omit<Parameters<typeof runStage<typeof stage.params, typeof stage.inputs, typeof stage.outputs>>[1]['params'], 'classes'>) => {
    const { outputs, notes } = await runStage(stage, { params: { classes, ...params }, inputs });
    return { metrics: await readMetrics(outputs.metrics), predictions: (await readFile(outputs.predictions, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { id: string; label: string | null; predicted: string; right: number | null }), notes };
  };

  it('classifies by all four methods far above chance, on images that have a class, with an interval', async () => {
    for (const method of ['zero-shot', 'linear-probe', 'tip-adapter', 'tip-adapter-f'] as const) {
      const { metrics, predictions } = await run({ task: 'modality', method });
      expect(metrics.get('balanced_accuracy'), method).toBeGreaterThan(0.7);
      expect(metrics.get('balanced_accuracy_low')!).toBeLessThan(metrics.get('balanced_accuracy')!);
      expect(metrics.get('balanced_accuracy_high')!).toBeGreaterThan(metrics.get('balanced_accuracy')!);
      expect(Object.fromEntries(metrics)).toMatchObject({ chance: 1 / 3, classes: 3, classified: 45, without_class: 15, parameters: 1000 });
      // Of images without a class it is told too what they look like.
      expect(predictions).toHaveLength(60);
      const labelled = predictions.filter(({ label }) => label !== null);
      expect(labelled).toHaveLength(45);
      expect(labelled.reduce((sum, { right }) => sum + right!, 0) / 45).toBeCloseTo(metrics.get('accuracy')!, 12);
      for (const { label, predicted, right } of labelled) expect(right).toBe(Number(label === predicted));
      for (const { label, predicted, right } of predictions.slice(3).filter((_, index) => index % 4 === 0)) {
        expect({ label, right }).toEqual({ label: null, right: null });
        expect(Object.keys(modality.classes)).toContain(predicted);
      }
    }
  });

  it('keeps so many training images for Tip-Adapter, and trains their keys for -f', async () => {
    const plain = await run({ task: 'modality', method: 'tip-adapter', shots: 3 });
    expect(plain.metrics.get('training_images')).toBe(9);
    expect(plain.metrics.get('trained_parameters')).toBe(0);
    expect((await run({ task: 'modality', method: 'tip-adapter-f', shots: 3 })).metrics.get('trained_parameters')).toBe(9 * 6);
  });

  it('reads classes off captions', async () => {
    const { metrics } = await run({ task: 'organ', method: 'linear-probe' });
    expect(metrics.get('classified')).toBe(45);
    expect(metrics.get('balanced_accuracy')).toBeGreaterThan(0.7);
    await expect(runStage(stage, { params: { classes, task: 'organ', method: 'zero-shot' }, inputs: { ...inputs, captions: undefined } })).rejects.toThrow(/read off captions: give the input captions/);
  });

  it('refuses a task, prompts and embeddings that are not there', async () => {
    expect(() => stage.params.parse({ classes, task: 'plane', method: 'zero-shot' })).toThrow(/\\"plane\\" is none of the classes: modality, organ/);
    const other = { ...modality, templates: ['an image of {}'] };
    await expect(run({ task: 'modality', method: 'zero-shot', classes: { modality: other } } as never)).rejects.toThrow('the prompt "an image of ct" is not embedded: give the stage embed the same classes');
    const none = { ...modality, classes: { pet: ['ct'], spect: ['mri'] } };
    await expect(run({ task: 'modality', method: 'zero-shot', classes: { modality: none } } as never)).rejects.toThrow(/of 60 embedded images of the split "test" none has a class of modality/);
    await expect(runStage(stage, { params: { classes, task: 'modality', method: 'zero-shot' }, inputs: { ...inputs, embeddings: undefined, scores: inputs.embeddings } })).rejects.toThrow(/the input scores holds embeddings/);
    inputs = { ...(await folder('scores')), scores: undefined };
    await expect(run({ task: 'modality', method: 'zero-shot' })).rejects.toThrow(/an encoder–decoder embeds no images/);
  });

  it("takes for an encoder–decoder's class the mean likelihood of its prompts, by hand", async () => {
    // Two prompts a class. The first image finds one of the second class's by far the likeliest; the second those of the first class both a little.
    const kinds = { from: 'modality' as const, templates: ['a {}', '{} showing'], classes: { ct: ['ct'], mri: ['mri'] } };
    const texts = ['a mri', 'a ct', 'ct showing', 'mri showing', 'another'];
    const scores = [[3, 1, 1, -9, 50], [0.5, 1, 1, 0.5, 50], [2, 2, 2, 2, 50]];
    const rows = scores.map((_, row) => ({ id: `r${row}`, group: `g${row}`, split: 'test' as const, modality: row === 0 ? 'mri' : 'ct', caption: null }));
    const unit = Float32Array.from({ length: 25 }, (_, i) => Number(i % 6 === 0));
    const embeddings = await temporaryFolder();
    await writeEmbeddings(embeddings, { kind: 'scores', width: 5, logitScale: 1, rows, image: Float32Array.from(scores.flat()), text: new Float32Array(15), prompts: { texts, values: unit }, facts: [] });
    const { outputs } = await runStage(stage, { params: { classes: { kinds }, task: 'kinds', method: 'zero-shot' }, inputs: { embeddings: undefined, scores: embeddings, captions: undefined } });
    const predictions = (await readFile(outputs.predictions, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { predicted: string; right: number });
    // ln((e³ + e⁻⁹) / 2) = 2.31 is above 1; ln((e⁰·⁵ + e⁰·⁵) / 2) = 0.5 below 1; the third is a tie.
    expect(predictions.map(({ predicted }) => predicted).slice(0, 2)).toEqual(['mri', 'ct']);
    expect(predictions.map(({ right }) => right)).toEqual([1, 1, 0.5]);
    const metrics = await readMetrics(outputs.metrics);
    expect(metrics.get('balanced_accuracy')).toBe(0.875);
    expect(metrics.get('chance')).toBe(0.5);
    await expect(runStage(stage, { params: { classes: { kinds }, task: 'kinds', method: 'linear-probe' }, inputs: { embeddings: undefined, scores: embeddings, captions: undefined } })).rejects.toThrow(/linear-probe needs embeddings of images/);
  });
});
