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
  let inputs: { embeddings: string; captions: string };
  beforeEach(async () => {
    inputs = await folder();
  });
  const run = async (params: Omit<Parameters<typeof runStage<typeof stage.params, typeof stage.inputs, typeof stage.outputs>>[1]['params'], 'classes'>) => {
    const { outputs, notes } = await runStage(stage, { params: { classes, ...params }, inputs });
    return { metrics: await readMetrics(outputs.metrics), predictions: (await readFile(outputs.predictions, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { id: string; label: string; predicted: string; right: number }), notes };
  };

  it('classifies by all four methods far above chance, on images that have a class, with an interval', async () => {
    for (const method of ['zero-shot', 'linear-probe', 'tip-adapter', 'tip-adapter-f'] as const) {
      const { metrics, predictions } = await run({ task: 'modality', method });
      expect(metrics.get('balanced_accuracy'), method).toBeGreaterThan(0.7);
      expect(metrics.get('balanced_accuracy_low')!).toBeLessThan(metrics.get('balanced_accuracy')!);
      expect(metrics.get('balanced_accuracy_high')!).toBeGreaterThan(metrics.get('balanced_accuracy')!);
      expect(Object.fromEntries(metrics)).toMatchObject({ chance: 1 / 3, classes: 3, classified: 45, without_class: 15, parameters: 1000 });
      expect(predictions).toHaveLength(45);
      expect(predictions.reduce((sum, { right }) => sum + right, 0) / 45).toBeCloseTo(metrics.get('accuracy')!, 12);
      for (const { label, predicted, right } of predictions) expect(right).toBe(Number(label === predicted));
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
    await expect(runStage(stage, { params: { classes, task: 'organ', method: 'zero-shot' }, inputs: { embeddings: inputs.embeddings, captions: undefined } })).rejects.toThrow(/read off captions: give the input captions/);
  });

  it('refuses a task, prompts and embeddings that are not there', async () => {
    expect(() => stage.params.parse({ classes, task: 'plane', method: 'zero-shot' })).toThrow(/\\"plane\\" is none of the classes: modality, organ/);
    const other = { ...modality, templates: ['an image of {}'] };
    await expect(run({ task: 'modality', method: 'zero-shot', classes: { modality: other } } as never)).rejects.toThrow('the prompt "an image of ct" is not embedded: give the stage embed the same classes');
    const none = { ...modality, classes: { pet: ['ct'], spect: ['mri'] } };
    await expect(run({ task: 'modality', method: 'zero-shot', classes: { modality: none } } as never)).rejects.toThrow(/of 60 embedded images of the split "test" none has a class of modality/);
    inputs = await folder('scores');
    await expect(run({ task: 'modality', method: 'zero-shot' })).rejects.toThrow(/an encoder–decoder embeds no images/);
  });
});
