import { describe, expect, it } from 'vitest';
import { elements } from '../../../src/study/nn/kernels.ts';
import { modelConfig } from '../../../src/study/nn/model-config.ts';
import { modelSize } from '../../../src/study/nn/model-size.ts';
import { digestOf } from './rig.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';

/** Millions of parameters, of those without the token embedding, and training GFLOP a pair, as tabled. */
const table: readonly (readonly [string, string, string, number])[] = [
  ['n0', '0.145', '0.079', 0.011],
  ['n1', '0.256', '0.157', 0.021],
  ['n2', '0.591', '0.329', 0.138],
  ['n3', '1.338', '0.945', 0.388],
  ['n4', '2.711', '1.663', 0.742],
  ['n5', '7.066', '5.493', 3.94],
  ['n6', '11.813', '9.716', 6.83],
  ['Ti/16', '20.438', '10.952', 10.1],
  ['n8', '25.511', '20.268', 17.8],
  ['S/16', '62.258', '43.285', 37.7],
  ['M/16', '102.015', '76.719', 65.8],
  ['B/32', '151.277', '125.980', 44.3],
];

describe('model sizes', () => {
  it.each(table)('%s has the tabled parameters and compute', (name, parameters, nonEmbedding, gflop) => {
    const size = modelSize(name);
    expect((size.parameters / 1e6).toFixed(3)).toBe(parameters);
    expect((size.nonEmbedding / 1e6).toFixed(3)).toBe(nonEmbedding);
    expect(Number(((6 * size.macsPerPair) / 1e9).toPrecision(String(gflop).replace(/^0?\.?0*/, '').replace('.', '').length))).toBe(gflop);
  });

  it('counts published models to the parameter', () => {
    expect(modelSize('ViT-B/32').parameters).toBe(151_277_313);
    expect(modelSize('ViT-B-16').parameters).toBe(149_620_737);
    expect((modelSize('S/32').parameters / 1e6).toFixed(2)).toBe('63.09');
    expect((modelSize('M/32').parameters / 1e6).toFixed(2)).toBe('103.12');
  });

  it('agrees with the weights that are made', () => {
    const config = modelConfig('d16l1', { input: { resolution: 32, patch: 8, context: 16, vocabulary: 50 } });
    const weights = initialWeights(parametersOf(config), 7);
    expect([...weights.values()].reduce((sum, { length }) => sum + length, 0)).toBe(modelSize(config).parameters);
    expect(parametersOf(config).map(({ shape }) => elements(shape))).toEqual([...weights.values()].map(({ length }) => length));
  });

  it('draws weights of the declared deviation, the same for the same seed', () => {
    const parameters = parametersOf(modelConfig('d64l2'));
    const weights = initialWeights(parameters, 1);
    const values = weights.get('text.embedding')!;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    expect(deviation).toBeCloseTo(0.02, 3);
    expect(digestOf(initialWeights(parameters, 1))).toBe(digestOf(weights));
    expect(digestOf(initialWeights(parameters, 2))).not.toBe(digestOf(weights));
    expect(weights.get('logit_scale')![0]).toBeCloseTo(Math.log(1 / 0.07), 6);
  });

  it('gives narrow models one head, and wide ones heads that divide the width', () => {
    const heads = (name: string): number => modelConfig(name).image.heads;
    expect(['d16l1', 'd48l2', 'd64l2', 'd96l4', 'd80l1'].map(heads)).toEqual([1, 1, 2, 3, 2]);
    expect(modelConfig('d128l2', { headWidth: 64 }).text.heads).toBe(2);
  });

  it('finds the widest towers of a number of parameters', () => {
    const input = { resolution: 32, patch: 16, context: 24 };
    for (const [name, vocabulary, most] of [['p420kl2', 49408, 420e3], ['p420kl2', 512, 420e3], ['p2Ml3', 4096, 2e6]] as const) {
      const config = modelConfig(name, { input: { ...input, vocabulary } });
      const wider = config.image.width + (config.image.width < 32 ? 4 : 16);
      const layers = config.image.layers;
      expect(modelSize(config).parameters).toBeLessThanOrEqual(most);
      expect(modelSize(`d${wider}l${layers}`, { input: { ...input, vocabulary } }).parameters).toBeGreaterThan(most);
    }
    expect(() => modelConfig('p100kl2', { input: { ...input, vocabulary: 49408 } })).toThrow(/100,000 parameters are not enough for a vocabulary of 49,408/);
  });

  it('names what is wrong with a size', () => {
    expect(() => modelConfig('d64')).toThrow(/unknown model size "d64"/);
    expect(() => modelConfig('d0l2')).toThrow(/image width 0/);
    expect(() => modelConfig('d32l2', { input: { patch: 7 } })).toThrow(/patches of 7 pixels do not fill 64/);
    expect(() => modelConfig('n0', { input: { resolution: 32 } })).toThrow(/n0 has resolution 64, but the data have 32/);
    expect(modelConfig('n0', { input: { vocabulary: 400 } }).text.vocabulary).toBe(2048);
  });
});
