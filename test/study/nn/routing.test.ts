import { beforeAll, describe, expect, it } from 'vitest';
import { adapterOf, expertOf, modalityExperts } from '../../../src/study/nn/adapter-config.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { embedder } from '../../../src/study/nn/embed.ts';
import { checked, modelConfig } from '../../../src/study/nn/model-config.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { routesOf } from '../../../src/study/nn/routing.ts';
import { openTestBackends } from './backends.ts';
import { tinyData } from './rig.ts';

const input = { resolution: 16, patch: 8, context: 8, vocabulary: 40 };
const config = checked({ ...modelConfig('d16l1', { input }), adapter: adapterOf('pfeiffer-4+hard') });
const experts = config.adapter!.experts!;
const { images: plain, tokens } = tinyData(8);
const labels = ['ct', 'mri', 'x-ray', 'ultrasound', 'fluoroscopy', 'unknown', 'ct', 'ct'];
const rows = labels.map((modality, row) => ({ id: `r${row}`, modality }));
const images = { ...plain, rows };
const predicted = new Map([['r0', 'ct'], ['r1', 'ct'], ['r2', 'x-ray'], ['r3', 'ultrasound'], ['r4', 'x-ray'], ['r5', 'mri']]);
const captions = new Map([['r0', 'a CT scan'], ['r1', 'mri of the knee'], ['r2', 'chest x-ray'], ['r3', 'nothing named'], ['r4', 'barium swallow'], ['r5', 'ct']]);
const asked = [0, 1, 2, 3, 4, 5];

let backend: Backend;
beforeAll(async () => {
  [backend] = (await openTestBackends()) as [Backend];
});

/** Embeddings by a model whose adapters each change something, with all pairs routed by the modalities of `modality`. */
async function embeddings(modality: readonly string[]) {
  const weights = initialWeights(parametersOf(config), 1);
  // W_up begins as zero: an adapter that does nothing could not be told from another.
  const random = initialWeights(parametersOf(config).map((one) => ({ ...one, initial: { kind: 'normal', deviation: 0.3 } as const })), 2);
  for (const { name, part } of parametersOf(config)) if (part === 'adapters') weights.set(name, random.get(name)!);
  const embed = embedder(backend, config, weights, { ...plain, rows: modality.map((one) => ({ modality: one })) }, tokens, 6);
  const result = await embed.embed(asked);
  embed.dispose();
  return result;
}

describe('routes that are predicted', () => {
  it('take an image where it is predicted to belong, and a caption where its own words do', () => {
    const routes = routesOf(images, asked, experts, predicted, captions);
    expect(asked.map((row) => routes.image.rows![row]!.modality)).toEqual(['ct', 'ct', 'x-ray', 'ultrasound', 'x-ray', 'mri']);
    expect(asked.map((row) => routes.caption.rows![row]!.modality)).toEqual(['ct', 'mri', 'x-ray', 'unknown', 'fluoroscopy', 'ct']);
    // Of five with a label: the second and the fluoroscopy's image go wrong, and the caption that names nothing.
    expect(Object.fromEntries(routes.facts.map(({ metric, value }) => [metric, value]))).toEqual({ image_route_accuracy: 3 / 5, caption_route_accuracy: 4 / 5 });
  });

  it('lead to the adapter of that modality, or to the last where it has none', async () => {
    expect(modalityExperts.map((name) => expertOf(experts, name))).toEqual([0, 1, 2, 3, 4]);
    expect(expertOf(experts, 'fluoroscopy')).toBe(4);
    const [byLabel, byOther] = [await embeddings(labels), await embeddings(['ct', 'ct', 'x-ray', 'ultrasound', 'x-ray', 'mri'])];
    const row = (values: Float32Array, index: number): number[] => [...values.subarray(index * 16, (index + 1) * 16)];
    for (const side of ['image', 'text'] as const) {
      // The first, third and fourth keep their adapter, the others get another.
      for (const same of [0, 2, 3]) expect(row(byOther[side], same)).toEqual(row(byLabel[side], same));
      for (const other of [1, 4, 5]) expect(row(byOther[side], other)).not.toEqual(row(byLabel[side], other));
    }
  });

  it('are refused where something is not known', () => {
    expect(() => routesOf(images, [0, 6], experts, predicted, captions)).toThrow('no modality is predicted of r6: let the stage classify see all images that are embedded here');
    expect(() => routesOf(images, [0, 6], experts, new Map([...predicted, ['r6', 'ct']]), captions)).toThrow('the captions have no r6');
  });
});
