import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { embeddingsOfSplit, readEmbeddings } from '../../src/study/eval/embedding-folder.ts';
import { writePredictions } from '../../src/study/eval/predictions.ts';
import { writeJsonLines } from '../../src/study/data/pairs.ts';
import { adapterOf } from '../../src/study/nn/adapter-config.ts';
import { checked } from '../../src/study/nn/model-config.ts';
import { initialWeights, parametersOf } from '../../src/study/nn/parameters.ts';
import { modelSize } from '../../src/study/nn/model-size.ts';
import { loadModel, saveModel } from '../../src/study/nn/model-folder.ts';
import { openTokens, writeTokens } from '../../src/study/text/token-file.ts';
import { stage as train } from '../../stages/train.ts';
import { embedded, outputs, recordingReport, surroundings, tinyFolders } from './training-rig.ts';

let inputs: { images: string; tokens: string; model: string };
beforeAll(async () => {
  const data = await tinyFolders();
  const { folder, file } = outputs();
  const params = train.params.parse({ size: 'd16l1', pairs: 160, batch: 16 });
  await train.run({ params, inputs: data, outputs: { model: folder, metrics: file }, report: recordingReport().report, ...surroundings() });
  inputs = { ...data, model: folder };
});

describe('the stage embed', () => {
  it('writes unit vectors of a split with what is known of each row and of the model', async () => {
    const { embeddings } = await embedded(inputs);
    const stored = await readEmbeddings(embeddings);
    const { config, training } = await loadModel(inputs.model);
    expect(stored).toMatchObject({ kind: 'embeddings', width: 16 });
    expect(stored.rows.map(({ id }) => id)).toEqual(Array.from({ length: 48 }, (_, index) => `tiny-${192 + index}`));
    expect(stored.rows[0]).toMatchObject({ group: 'case-192', split: 'test', modality: 'ct' });
    // 32 kinds of caption: equal ones have one name, others another.
    const tokens = await openTokens(inputs.tokens);
    const spelled = stored.rows.map((_, index) => tokens.ids.subarray((192 + index) * 8, (193 + index) * 8).join());
    expect(new Set(stored.rows.map(({ caption }) => caption)).size).toBe(new Set(spelled).size);
    for (const values of [stored.image, stored.text]) {
      for (let row = 0; row < 48; row++) expect(Math.hypot(...values.subarray(row * 16, (row + 1) * 16))).toBeCloseTo(1, 5);
    }
    const facts = new Map(stored.facts.map(({ metric, value }) => [metric, value]));
    expect(facts.get('parameters')).toBe(modelSize(config).parameters);
    expect(facts.get('flops')).toBe(training.flops);
  });

  it('takes as many pairs of each split as it is asked, drawn by seed, and gives each row the same numbers in any company', async () => {
    const all = await readEmbeddings((await embedded(inputs, { pairs: { train: 20, validation: 'all' } })).embeddings);
    expect(['train', 'validation', 'test'].map((split) => all.rows.filter((row) => row.split === split).length)).toEqual([20, 48, 48]);
    const alone = await readEmbeddings((await embedded(inputs)).embeddings);
    const part = embeddingsOfSplit(all, 'test');
    expect(part.rows).toEqual(alone.rows);
    part.image.forEach((value, index) => expect(value).toBeCloseTo(alone.image[index]!, 5));
    const again = await readEmbeddings((await embedded(inputs, { pairs: { train: 20, test: 0 } })).embeddings);
    expect(again.rows).toEqual(all.rows.slice(0, 20));
    const other = await readEmbeddings((await embedded(inputs, { pairs: { train: 20, test: 0 }, seed: 2 })).embeddings);
    expect(other.rows).not.toEqual(again.rows);
    const { told } = await embedded(inputs, { pairs: { test: 1000 } });
    expect(told.notes).toContain('the split "test" has 48 pairs, not 1000');
  });

  it('leaves captions out where images will do', async () => {
    const whole = await readEmbeddings((await embedded(inputs, { pairs: { validation: 'all' } })).embeddings);
    const part = await readEmbeddings((await embedded(inputs, { pairs: { validation: 'all' }, imagesOnly: ['validation'] })).embeddings);
    expect(part.image).toEqual(whole.image);
    const [held, own] = [embeddingsOfSplit(part, 'validation'), embeddingsOfSplit(part, 'test')];
    expect(new Set(held.text)).toEqual(new Set([0]));
    expect(new Set(held.rows.map(({ caption }) => caption))).toEqual(new Set([null]));
    expect(own.text).toEqual(embeddingsOfSplit(whole, 'test').text);
  });

  it('embeds prompts as captions of the same tokens', async () => {
    // The tiny vocabulary gets meanings: 2 to 11, the bits, are the words "a" to "j" of CLIP.
    const { folder } = outputs();
    const tokens = await openTokens(inputs.tokens);
    const letters = [320, 321, 322, 323, 324, 325, 326, 327, 328, 329];
    const mapping = Array.from({ length: 40 }, (_, id) => letters[id - 2] ?? -1);
    await writeTokens(folder, tokens, { size: 40, pad: 0, start: 38, end: 39, unknown: 1, mapping }, 8);
    const words = (row: number): string => [...tokens.ids.subarray(row * 8 + 1, row * 8 + 6)].map((id) => 'abcdefghij'[id - 2]).join(' ');
    const classes = { kinds: { from: 'modality', templates: ['{}'], classes: { one: [words(192)], other: [words(193), words(194)] } } };
    const stored = await readEmbeddings((await embedded({ ...inputs, tokens: folder }, { classes })).embeddings);
    expect(stored.prompts.texts).toEqual([...new Set([192, 193, 194].map(words))]);
    stored.prompts.values.subarray(0, 16).forEach((value, index) => expect(value).toBeCloseTo(stored.text[index]!, 5));
    const trained = outputs().folder;
    await writeTokens(trained, tokens, { size: 40, pad: 0, start: 38, end: 39, unknown: 1 }, 8);
    await expect(embedded({ ...inputs, tokens: trained }, { classes })).rejects.toThrow(/prompts are cut by CLIP's byte pairs/);
  });

  it('routes hard adapters by what is predicted of images and what captions name, when it is to do without labels', async () => {
    const { config, training, weights } = await loadModel(inputs.model);
    const routed = checked({ ...config, adapter: adapterOf('pfeiffer-2+hard') });
    const start = initialWeights(parametersOf(routed).map((one) => ({ ...one, initial: { kind: 'normal', deviation: 0.3 } as const })), 3);
    const { folder, file } = outputs();
    await saveModel(folder, { config: routed, training, weights: new Map([...start, ...weights]) });
    const { rows, image, text, facts } = await readEmbeddings((await embedded({ ...inputs, model: folder })).embeddings);
    expect(facts.slice(0, 2)).toEqual([{ metric: 'image_route_accuracy', value: 1 }, { metric: 'caption_route_accuracy', value: 1 }]);
    // All are labelled ct. Every third image is taken for an MRI, every second caption speaks of one.
    const paths = { routes: `${file}.routes`, captions: `${file}.captions` };
    await writePredictions(paths.routes, rows.map(({ id, group }, row) => ({ id, group, label: 'ct', predicted: row % 3 === 0 ? 'mri' : 'ct', right: 0 })));
    await writeJsonLines(paths.captions, rows.map(({ id, group, split }, row) => ({ id, group, split, caption: row % 2 === 0 ? 'an MRI' : 'a CT scan' })));
    const found = await readEmbeddings((await embedded({ ...inputs, model: folder, ...paths }, { route: 'predicted' })).embeddings);
    const same = (a: Float32Array, b: Float32Array): boolean[] => rows.map((_, row) => a.subarray(row * 16, (row + 1) * 16).every((value, i) => Math.abs(value - b[row * 16 + i]!) < 1e-5));
    expect(same(found.image, image)).toEqual(rows.map((_, row) => row % 3 !== 0));
    expect(same(found.text, text)).toEqual(rows.map((_, row) => row % 2 !== 0));
    expect(found.rows).toEqual(rows);
    expect(found.facts.slice(0, 2)).toEqual([{ metric: 'image_route_accuracy', value: 2 / 3 }, { metric: 'caption_route_accuracy', value: 1 / 2 }]);
    writeFileSync(paths.routes, '{"id":"tiny-192"}\n');
    await expect(embedded({ ...inputs, model: folder, ...paths }, { route: 'predicted' })).rejects.toThrow(/routes:1: no prediction, which has id and predicted/);
    await expect(embedded({ ...inputs, ...paths }, { route: 'predicted' })).rejects.toThrow(/d16l1 has no adapters among which a modality chooses/);
  });

  it('refuses data that the model was not trained for, and a damaged model', async () => {
    const { config, training, weights } = await loadModel(inputs.model);
    const { folder } = outputs();
    const small = { ...config, text: { ...config.text, vocabulary: 30 } };
    weights.set('text.embedding', weights.get('text.embedding')!.subarray(0, 30 * 16));
    await saveModel(folder, { config: small, training, weights });
    await expect(embedded({ ...inputs, model: folder })).rejects.toThrow('the model was trained with vocabulary 30, but these data have 40');
    const path = join(folder, 'weights.safetensors');
    writeFileSync(path, readFileSync(path).subarray(0, 4000));
    await expect(embedded({ ...inputs, model: folder })).rejects.toThrow(/cut short/);
    await expect(embedded({ ...inputs, model: outputs().folder })).rejects.toThrow(/model\.json cannot be read/);
    await expect(embedded(inputs, { pairs: { test: 0 } })).rejects.toThrow('pairs: asks for none of any split');
  });
});
