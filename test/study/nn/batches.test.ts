import { describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import { augmentImages } from '../../../src/study/nn/augment.ts';
import { batchBuilder, batchOrder } from '../../../src/study/nn/batches.ts';
import { BudgetError, stepsFor } from '../../../src/study/nn/budget.ts';
import { modelSize } from '../../../src/study/nn/model-size.ts';
import { cosineRate } from '../../../src/study/nn/schedule.ts';
import { tinyConfig, tinyData } from './rig.ts';

describe('batches', () => {
  it('show each training row once an epoch, in another order each time', () => {
    const rows = Uint32Array.of(3, 5, 7, 9, 11, 13);
    const order = batchOrder(rows, 4, 1);
    const seen = [1, 2, 3].flatMap((step) => [...order(step)]);
    const epochs = [seen.slice(0, 6), seen.slice(6)];
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...rows]);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(batchOrder(rows, 4, 1)(3)).toEqual(order(3));
    expect([...order(1), ...order(2)]).not.toEqual([...batchOrder(rows, 4, 2)(1), ...batchOrder(rows, 4, 2)(2)]);
  });

  it('normalise by channel and lay patches out channel by channel', () => {
    const { images, tokens } = tinyData();
    const ramp = {
      ...images,
      mean: [0.1, 0.2, 0.3],
      std: [0.5, 0.25, 0.125],
      read: (_: ArrayLike<number>, out: Uint8Array): void => out.forEach((__, index) => void (out[index] = index % 251)),
    };
    const { patches, ids, ends } = batchBuilder(tinyConfig, ramp, tokens, 2)([4, 1]);
    // Second image, patch below left, green, row 3, column 2.
    const pixel = ((16 + 8 + 3) * 16 + 2) * 3 + 1;
    expect(patches[(4 + 2) * 192 + 64 + 3 * 8 + 2]).toBeCloseTo(((pixel % 251) / 255 - 0.2) / 0.25, 5);
    expect([...ids]).toEqual([...tokens.ids.subarray(32, 40), ...tokens.ids.subarray(8, 16)]);
    expect([...ends]).toEqual([6, 14]);
  });
});

describe('augmentation', () => {
  const size = 8;
  const image = Uint8Array.from({ length: size * size * 3 }, (_, index) => (Math.floor(index / 3) % size) * 30);

  it('is the same for the same seed, and keeps levels within the image', () => {
    const once = augmentImages(image, 1, size, { crop: 0.3, flip: false }, randomOf(1));
    expect(augmentImages(image, 1, size, { crop: 0.3, flip: false }, randomOf(1))).toEqual(once);
    expect(augmentImages(image, 1, size, { crop: 0.3, flip: false }, randomOf(2))).not.toEqual(once);
    // A ramp from left to right stays one: cropped, stretched, never mirrored.
    const row = [...once.subarray(0, size * 3)].filter((_, index) => index % 3 === 0);
    expect([...row].sort((a, b) => a - b)).toEqual(row);
    expect(Math.max(...row) - Math.min(...row)).toBeLessThan(210);
  });

  it('mirrors some images when asked to', () => {
    const many = new Uint8Array(image.length * 20);
    for (let copy = 0; copy < 20; copy++) many.set(image, copy * image.length);
    const mirrored = augmentImages(many, 20, size, { crop: 1, flip: true }, randomOf(1));
    const rising = Array.from({ length: 20 }, (_, copy) => mirrored[copy * image.length]! < mirrored[copy * image.length + 21]!);
    expect(new Set(rising)).toEqual(new Set([true, false]));
  });
});

describe('schedule and budget', () => {
  it('rises over the warm-up and falls to almost nothing at the end', () => {
    const rates = Array.from({ length: 100 }, (_, index) => cosineRate(index + 1, 100, 2, 0.1));
    expect(rates[0]).toBeCloseTo(0.2);
    expect(rates[9]).toBe(2);
    expect(Math.max(...rates)).toBe(2);
    for (let index = 10; index < 100; index++) expect(rates[index]).toBeLessThan(rates[index - 1]!);
    expect(rates[99]).toBeLessThan(0.002);
    expect(cosineRate(1, 1, 2, 0.1)).toBe(2);
    expect(cosineRate(1, 100, 2, 0)).toBeCloseTo(2, 2);
  });

  it('buys whole steps', () => {
    const perPair = 6 * modelSize(tinyConfig).macsPerPair;
    expect(stepsFor({ flops: perPair * 1600 }, tinyConfig, 16, 100)).toBe(100);
    expect(stepsFor({ pairs: 170 }, tinyConfig, 16, 100)).toBe(11);
    expect(stepsFor({ epochs: 2 }, tinyConfig, 16, 80)).toBe(10);
    expect(() => stepsFor({ flops: perPair * 7 }, tinyConfig, 16, 100)).toThrow(BudgetError);
    expect(() => stepsFor({ flops: perPair * 7 }, tinyConfig, 16, 100)).toThrow(/buys 7 pairs of d16l1, less than half a batch of 16/);
  });
});
