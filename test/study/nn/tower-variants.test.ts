import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { modelSize } from '../../../src/study/nn/model-size.ts';
import { parametersOf } from '../../../src/study/nn/parameters.ts';
import { type TowerVariant, towerVariants, variantConfig } from '../../../src/study/nn/tower-variants.ts';
import { train } from '../../../src/study/nn/training.ts';
import { openTestBackends } from './backends.ts';
import { recordingWatch, tinyData, tinySettings } from './rig.ts';

const millions = (name: string, variant: TowerVariant): number => modelSize(variantConfig(name, variant)).parameters / 1e6;

describe('sharing between towers', () => {
  it.each([
    ['n0', '0.120'], ['n1', '0.199'], ['n2', '0.442'], ['n3', '0.892'], ['n4', '1.920'], ['n5', '4.401'],
    ['n6', '7.081'], ['Ti/16', '15.1'], ['n8', '15.7'], ['S/16', '41.0'], ['M/16', '64.2'],
  ])('of %s leaves the tabled parameters', (name, tabled) => {
    expect(millions(name, 'blocks').toFixed(tabled.split('.')[1]!.length)).toBe(tabled);
  });

  it('saves exactly what it shares', () => {
    const [d, layers] = [64, 3];
    const count = (variant: TowerVariant): number => modelSize(variantConfig('d64l3', variant)).parameters;
    expect(count('dual') - count('blocks')).toBe(layers * (12 * d * d + 9 * d));
    expect(count('dual') - count('all')).toBe(layers * (12 * d * d + 13 * d) + 2 * d - 2 * d); // less the last norm, plus two embeddings
    expect(count('dual') - count('attention')).toBe(layers * (4 * d * d + 4 * d + 2 * d));
  });

  it('has dual controls: as many parameters as all shared, or half the layers', () => {
    const all = modelSize(variantConfig('d64l4', 'all')).parameters;
    const narrow = variantConfig('d64l4', 'dual-narrow');
    expect(modelSize(narrow).parameters).toBeLessThanOrEqual(all);
    expect(modelSize(narrow).parameters).toBeGreaterThan(0.93 * all);
    const shallow = modelSize(variantConfig('d64l4', 'dual-shallow'));
    const dual = modelSize(variantConfig('d64l4', 'dual'));
    expect(shallow.macsPerPair / dual.macsPerPair).toBeCloseTo(0.5, 1);
    expect(modelSize(variantConfig('d64l4', 'blocks')).macsPerPair).toBe(dual.macsPerPair);
    expect(() => variantConfig('d64l3', 'dual-shallow')).toThrow(/half of the 3 layers/);
  });

  it('refuses towers of different shapes, saying which', () => {
    expect(() => variantConfig('B/32', 'blocks')).toThrow(/width 768 and 512/);
  });

  it('names every weight once', () => {
    for (const variant of towerVariants) {
      const names = parametersOf(variantConfig('d32l2', variant)).map(({ name }) => name);
      expect(new Set(names).size, variant).toBe(names.length);
      expect(names.some((name) => name.startsWith('shared.')), variant).toBe(!variant.startsWith('dual'));
    }
  });

  let backends: readonly Backend[] = [];
  beforeAll(async () => {
    backends = await openTestBackends();
  });

  it.each(towerVariants)('%s trains: the loss falls well below chance', async (variant) => {
    const config = variantConfig('d16l2', variant, { input: { resolution: 16, patch: 8, context: 8, vocabulary: 40 } });
    for (const backend of backends.slice(0, 1)) {
      const { rows } = await train(backend, config, tinyData(), { ...tinySettings, steps: 45, evaluateEvery: 45 }, recordingWatch());
      expect(rows.findLast(({ metric }) => metric === 'validation_loss')!.value, backend.name).toBeLessThan(0.8 * Math.log(32));
    }
  });
});
