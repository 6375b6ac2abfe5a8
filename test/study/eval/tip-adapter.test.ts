import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { affinities, drawCache, keyLoss, searchTip, tipGrid, tipLogits, tipTraining, trainKeys } from '../../../src/study/eval/tip-adapter.ts';
import type { Cache } from '../../../src/study/eval/tip-adapter.ts';
import { scoreClasses } from '../../../src/study/eval/zero-shot.ts';

const close = (values: readonly number[]): unknown => values.map((value) => expect.closeTo(value, 4));

/** Two classes whose prompts are the axes, and one kept image of each. */
const problem = { width: 2, classes: 2, prompts: Float64Array.of(1, 0, 0, 1), scale: 100 };
const cache = { keys: Float64Array.of(1, 0, 0.6, 0.8), labels: Int32Array.of(0, 1) };

/** Images near one of three directions, `spread` apart from it, at unit length. */
function data(seed: string, count: number, spread: number, width = 6) {
  const random = randomOf(seed);
  const labels = Int32Array.from({ length: count }, (_, row) => row % 3);
  const features = new Float32Array(count * width);
  labels.forEach((label, row) => {
    const own = Array.from({ length: width }, (_, i) => (i === label ? 1 : 0) + spread * random.normal());
    const length = Math.hypot(...own);
    own.forEach((value, i) => (features[row * width + i] = value / length));
  });
  return { features, labels };
}

describe('Tip-Adapter', () => {
  it('adds to the prompts what the image is like among those kept: 100 f W + α exp(−β (1 − f K)) V', () => {
    // f = (0.8, 0.6): f W = (0.8, 0.6), f K = (0.8, 0.6 · 0.8 + 0.8 · 0.6 = 0.96).
    const image = Float32Array.of(0.8, 0.6);
    expect([...affinities(cache, image, 2)]).toEqual(close([0.8, 0.96]));
    expect([...tipLogits(problem, { ...cache, alpha: 3, beta: 2 }, image)]).toEqual(close([80 + 3 * Math.exp(-0.4), 60 + 3 * Math.exp(-0.08)]));
    // Two kept images of a class both vote for it.
    const both = { keys: Float64Array.of(1, 0, 0.6, 0.8), labels: Int32Array.of(1, 1) };
    expect([...tipLogits(problem, { ...both, alpha: 3, beta: 2 }, image)]).toEqual(close([80, 60 + 3 * (Math.exp(-0.4) + Math.exp(-0.08))]));
    // The larger β is, the less an image counts that is not the same.
    expect([...tipLogits(problem, { ...cache, alpha: 3, beta: 1e4 }, Float32Array.of(1, 0))]).toEqual(close([103, 0]));
  });

  it('keeps so many images of each class, at unit length, drawn by seed', () => {
    const own = data('cache', 30, 0.3);
    const drawn = drawCache({ features: own.features.map((value) => 5 * value), labels: own.labels }, 6, 3, 4, 1);
    expect([...drawn.labels]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    expect(drawn.rest).toHaveLength(18);
    for (let shot = 0; shot < 12; shot++) expect(Math.hypot(...drawn.keys.subarray(shot * 6, (shot + 1) * 6))).toBeCloseTo(1, 6);
    expect(drawCache(own, 6, 3, 4, 2).keys).not.toEqual(drawCache(own, 6, 3, 4, 1).keys);
    // A class with fewer gives what it has.
    expect([...drawCache({ features: own.features, labels: Int32Array.from(own.labels, (label) => (label === 2 ? -1 : label)) }, 6, 3, 40, 1).labels]).toEqual([...new Array<number>(10).fill(0), ...new Array<number>(10).fill(1)]);
  });

  it('has the gradient that differences of the loss give', () => {
    const images = data('gradient', 12, 0.6);
    const three = { width: 6, classes: 3, prompts: Float64Array.from({ length: 18 }, (_, i) => (Math.floor(i / 6) === i % 6 ? 1 : 0)), scale: 4 };
    const drawn = drawCache(data('keys', 30, 0.6), 6, 3, 2, 1);
    const chosen = { alpha: 1.7, beta: 2.3 };
    const { gradient } = keyLoss(three, drawn, images, chosen);
    const lossWith = (at: number, by: number): number => keyLoss(three, { ...drawn, keys: drawn.keys.map((value, index) => value + (index === at ? by : 0)) }, images, chosen).loss;
    for (let at = 0; at < gradient.length; at++) expect(gradient[at]).toBeCloseTo((lossWith(at, 1e-5) - lossWith(at, -1e-5)) / 2e-5, 8);
    expect(Math.hypot(...gradient)).toBeGreaterThan(0.01);
  });

  it('chooses α and β by accuracy on validation images, and leans on the prompts where the cache adds nothing', () => {
    const held = { features: Float32Array.of(0.8, 0.6, 0.28, 0.96), labels: Int32Array.of(0, 1) };
    expect(searchTip(problem, cache, held)).toMatchObject({ alpha: tipGrid[0], beta: tipGrid[0], validationAccuracy: 1 });
    // Prompts that are the wrong way round need a cache that outvotes them: only a large α does.
    const wrong = { ...problem, prompts: Float64Array.of(0, 1, 1, 0), scale: 10 };
    const found = searchTip(wrong, { keys: Float64Array.of(1, 0, 0, 1), labels: Int32Array.of(0, 1) }, { features: Float32Array.of(1, 0, 0, 1), labels: Int32Array.of(0, 1) });
    expect(found.validationAccuracy).toBe(1);
    expect(found.alpha).toBeGreaterThan(10);
  });

  it('trains keys so that the loss falls, and classifies better by it where the prompts say nothing', () => {
    const equal = { width: 6, classes: 3, prompts: new Float64Array(18).fill(1 / Math.sqrt(6)), scale: 1 };
    const [train, validation, test] = [data('train', 90, 0.45), data('validation', 90, 0.45), data('test', 300, 0.45)];
    const drawn = drawCache(train, 6, 3, 2, 1);
    const plain = searchTip(equal, drawn, validation);
    const { cache: trained, losses } = trainKeys(equal, plain, train, { ...tipTraining, epochs: 200, batch: 32, learningRate: 2e-2 });
    expect(losses).toHaveLength(200);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.05);
    expect(trained.labels).toEqual(drawn.labels);
    const score = (own: Cache): number => scoreClasses(tipLogits(equal, searchTip(equal, own, validation), test.features), test.labels, 3).balancedAccuracy;
    expect(score(drawn)).toBeGreaterThan(0.5);
    expect(score(trained)).toBeGreaterThan(score(drawn));
    expect(trainKeys(equal, plain, train, { ...tipTraining, epochs: 2 }).cache.keys).toEqual(trainKeys(equal, plain, train, { ...tipTraining, epochs: 2 }).cache.keys);
  });
});
