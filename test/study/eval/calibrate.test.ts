import { expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { calibrateLogitScale } from '../../../src/study/eval/calibrate.ts';
import { contrastiveLoss } from '../../../src/study/eval/contrastive-loss.ts';

/** Unit vectors; each text is its image turned by noise, or has nothing to do with it. */
function embeddings(count: number, width: number, noise: number): { image: Float32Array; text: Float32Array; count: number; width: number } {
  const random = randomOf(7, 'calibration', noise);
  const image = new Float32Array(count * width);
  const text = new Float32Array(count * width);
  const unit = (values: number[]): number[] => values.map(value => value / Math.hypot(...values));
  for (let row = 0; row < count; row++) {
    const a = unit(Array.from({ length: width }, () => random.between(-1, 1)));
    const b = unit(Array.from({ length: width }, () => random.between(-1, 1)));
    image.set(a, row * width);
    text.set(noise === Infinity ? b : unit(a.map((value, i) => value + noise * b[i]!)), row * width);
  }
  return { image, text, count, width };
}

it('finds the scale of least loss', () => {
  const pairs = embeddings(128, 8, 1);
  const scale = calibrateLogitScale(pairs, 64);
  const least = contrastiveLoss(pairs, scale, 64).loss;
  for (const factor of [0.5, 0.9, 1.1, 2]) expect(contrastiveLoss(pairs, scale * factor, 64).loss).toBeGreaterThan(least);
});

it('takes the confidence out of a model that knows nothing: its loss is chance', () => {
  const pairs = embeddings(128, 8, Infinity);
  expect(contrastiveLoss(pairs, 100, 64).loss).toBeGreaterThan(10);
  const { loss, chance } = contrastiveLoss(pairs, calibrateLogitScale(pairs, 64), 64);
  expect(Math.abs(loss - chance)).toBeLessThan(0.05);
});
