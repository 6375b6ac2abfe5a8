import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { classLogits, fitLinearProbe, probePenalties } from '../../../src/study/eval/linear-probe.ts';
import { areaUnderCurve, classEmbeddings, classScores, scoreClasses } from '../../../src/study/eval/zero-shot.ts';

describe('zero-shot classification', () => {
  it('averages the directions of prompts, whatever their lengths', () => {
    const classes = classEmbeddings(Float32Array.of(2, 0, 0, 5, 0, 1), 2, [0, 0, 1], 2);
    expect([...classes]).toEqual([Math.SQRT1_2, Math.SQRT1_2, 0, 1].map((value) => expect.closeTo(value, 12)));
    expect(() => classEmbeddings(Float32Array.of(1, 0), 2, [0], 2)).toThrow(/class 1 has no prompt/);
  });

  it('scores by class, with chance for a model that tells nothing apart', () => {
    const images = Float32Array.of(1, 0, 1, 0, 0, 1, 0.8, 0.6);
    const scores = classScores(images, Float64Array.of(1, 0, 0, 1), 2);
    expect(scoreClasses(scores, [0, 0, 1, 1], 2)).toEqual({ accuracy: 0.75, balancedAccuracy: 0.75, macroAuc: 1, chance: 0.5 });
    expect(scoreClasses(new Float64Array(8), [0, 0, 0, 1], 2)).toEqual({ accuracy: 0.5, balancedAccuracy: 0.5, macroAuc: 0.5, chance: 0.5 });
  });

  it('takes the area under the curve by ranks', () => {
    expect(areaUnderCurve([3, 2], [1, 2])).toBe(3.5 / 4);
    expect(areaUnderCurve([1], [1])).toBe(0.5);
  });
});

describe('a linear probe', () => {
  /** Three classes around corners of a triangle, in two of five dimensions. */
  function data(seed: string, rows: number, spread: number): { features: Float32Array; labels: Uint8Array } {
    const random = randomOf(seed);
    const labels = Uint8Array.from({ length: rows }, (_, row) => row % 3);
    const features = new Float32Array(rows * 5);
    labels.forEach((label, row) => {
      for (let i = 0; i < 5; i++) features[row * 5 + i] = (i === 0 ? Math.cos(2.1 * label) : i === 1 ? Math.sin(2.1 * label) : 0) + spread * random.normal();
    });
    return { features, labels };
  }

  it('separates what is linear, and chooses its penalty on validation data', () => {
    const probe = fitLinearProbe(data('train', 120, 0.2), data('validation', 60, 0.2), { width: 5, classes: 3 });
    expect(probe.validationAccuracy).toBeGreaterThan(0.95);
    expect(probePenalties).toContain(probe.penalty);
    const test = data('test', 300, 0.2);
    expect(scoreClasses(classLogits(probe, test.features, 5), test.labels, 3).balancedAccuracy).toBeGreaterThan(0.95);
  });

  it('finds the minimum: the gradient of the penalised loss vanishes there', () => {
    const train = data('noisy', 60, 1);
    const { weights, biases } = fitLinearProbe(train, train, { width: 5, classes: 3, penalties: [2] });
    const logits = classLogits({ weights, biases }, train.features, 5);
    for (let of = 0; of < 3; of++) {
      for (let i = 0; i < 5; i++) {
        let slope = (2 / 60) * weights[of * 5 + i]!;
        for (let row = 0; row < 60; row++) {
          const line = [0, 1, 2].map((other) => Math.exp(logits[row * 3 + other]!));
          const p = line[of]! / (line[0]! + line[1]! + line[2]!);
          slope += ((p - (train.labels[row] === of ? 1 : 0)) / 60) * train.features[row * 5 + i]!;
        }
        expect(Math.abs(slope)).toBeLessThan(1e-4);
      }
    }
  });

  it('keeps to the strongest penalty when nothing can be learned', () => {
    const random = randomOf('noise');
    const noise = { features: Float32Array.from({ length: 200 }, () => random.normal()), labels: Uint8Array.from({ length: 40 }, () => 0) };
    expect(fitLinearProbe(noise, noise, { width: 5, classes: 2 }).penalty).toBe(1e6);
  });
});
