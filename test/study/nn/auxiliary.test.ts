import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { hidePatches, hideWords } from '../../../src/study/nn/auxiliary.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { checked, modelConfig, type ModelConfig } from '../../../src/study/nn/model-config.ts';
import { wholeReading } from '../../../src/study/nn/reading.ts';
import { train } from '../../../src/study/nn/training.ts';
import { openTestBackends } from './backends.ts';
import { recordingWatch, tinyData, tinySettings } from './rig.ts';
import { directionalError } from './whole-model.ts';

const input = { resolution: 16, patch: 4, context: 8, vocabulary: 40 };
const withLoss = (kind: 'mlm' | 'span' | 'mim'): ModelConfig =>
  checked({ ...modelConfig('d16l1', { input, attention: { kind: 'bidirectional' } }), auxiliary: { kind, weight: 0.5 } });

describe('losses beside contrast', () => {
  const ids = Int32Array.from({ length: 120 }, (_, i) => 5 + (i % 30));

  it('pick 15 % of the tokens and treat them as BERT does', () => {
    const instead = { hidden: 0, same: 0, other: 0 };
    for (let seed = 0; seed < 200; seed++) {
      const picked = hideWords('mlm', ids, 10, 110, 40, randomOf('mlm', seed));
      expect(picked).toHaveLength(15);
      expect(picked.every(({ place }) => place >= 10 && place < 110)).toBe(true);
      for (const { place, instead: id } of picked) instead[id === 0 ? 'hidden' : id === ids[place] ? 'same' : 'other']++;
    }
    expect(instead.hidden / 3000).toBeCloseTo(0.8, 1);
    expect(instead.same / 3000).toBeCloseTo(0.1, 1);
    expect(instead.other / 3000).toBeCloseTo(0.1, 1);
  });

  it('hide runs of words, or three quarters of the patches', () => {
    let runs = 0;
    for (let seed = 0; seed < 200; seed++) {
      const picked = hideWords('span', ids, 0, 100, 40, randomOf('span', seed));
      expect(picked.every(({ instead }) => instead === 0)).toBe(true);
      runs += picked.filter(({ place }, i) => i === 0 || picked[i - 1]!.place !== place - 1).length;
      expect(hidePatches(16, randomOf('mim', seed)).reduce((sum, one) => sum + one, 0)).toBe(12);
    }
    expect(3000 / runs).toBeGreaterThan(2.2);
    expect(3000 / runs).toBeLessThan(3.8);
    expect([...hidePatches(1, randomOf('one'))]).toEqual([0]);
  });

  it('need a tower that looks ahead, and patches', () => {
    expect(() => checked({ ...modelConfig('d16l1', { input }), auxiliary: { kind: 'mlm', weight: 1 } })).toThrow(/causal tower has not yet seen/);
    expect(() => checked({ ...modelConfig('r2d16l1', { input: { resolution: 32 } }), auxiliary: { kind: 'mim', weight: 1 } })).toThrow(/has a ResNet/);
  });

  let backends: readonly Backend[] = [];
  beforeAll(async () => {
    backends = await openTestBackends();
  });

  it.each(['mlm', 'span', 'mim'] as const)('%s has the right gradients and trains beside contrast', async (kind) => {
    expect(directionalError(backends[0]!, withLoss(kind), wholeReading)).toBeLessThan(2e-3);
    const { rows } = await train(backends.at(-1)!, withLoss(kind), tinyData(), { ...tinySettings, steps: 60, evaluateEvery: 60 }, recordingWatch());
    const losses = rows.filter(({ metric }) => metric === 'loss').map(({ value }) => value);
    expect(losses.slice(-5).reduce((a, b) => a + b)).toBeLessThan(0.75 * losses.slice(0, 5).reduce((a, b) => a + b));
    expect(rows.findLast(({ metric }) => metric === 'validation_loss')!.value).toBeLessThan(0.9 * Math.log(32));
  });
});
