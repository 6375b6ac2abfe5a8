import { describe, expect, it } from 'vitest';
import { centreOf } from '../../../src/study/nn/augment.ts';
import { batchBuilder } from '../../../src/study/nn/batches.ts';
import { modelConfig } from '../../../src/study/nn/model-config.ts';
import { wholeReading } from '../../../src/study/nn/reading.ts';
import { imageNetNormalisation, logitFactor, recipeOf } from '../../../src/study/nn/recipe.ts';
import { tinyData } from './rig.ts';

describe("PubMedCLIP's recipe", () => {
  it('is on whole, and off by part', () => {
    expect(Object.values(recipeOf('pubmedclip')).every(Boolean)).toBe(true);
    const some = recipeOf('pubmedclip-no-crops-no-adam');
    expect(Object.entries(some).filter(([, on]) => !on).map(([name]) => name)).toEqual(['crops', 'adam']);
    expect(logitFactor).toBeCloseTo(0.9418, 4);
    expect(() => recipeOf('pubmedclip-no-colour')).toThrow('recipe: pubmedclip has no part "colour"');
    expect(() => recipeOf('clip')).toThrow('recipe: "clip" is not known');
  });

  const images = {
    count: 1, resolution: 10, channels: 3, mean: [0, 0, 0], std: [1, 1, 1],
    read: (_: ArrayLike<number>, out: Uint8Array): void => void out.forEach((_, index) => (out[index] = Math.floor(index / 3))),
  };
  const config = modelConfig('d16l1', { input: { resolution: 8, patch: 4, context: 8, vocabulary: 40 } });
  const { tokens } = tinyData();
  const patches = (reading: Parameters<typeof batchBuilder>[4]): Float32Array => batchBuilder(config, images, tokens, 1, reading)(Uint32Array.of(0)).patches;

  it('leaves the lower and right edge unread where patches do not fill the image', () => {
    const read = patches({ ...wholeReading, fit: 'edge' });
    // The last patch ends at row 7, column 7 of ten.
    expect(Math.round(read.at(-1)! * 255)).toBe(77);
    expect(Math.round(read[0]! * 255)).toBe(0);
    expect(() => patches(wholeReading)).toThrow(/images of 10 pixels where the model takes 8/);
  });

  it('scales the image instead, or sees its centre', () => {
    expect(Math.round(patches({ ...wholeReading, fit: 'scale' }).at(-1)! * 255)).toBeGreaterThan(95);
    const flat = Uint8Array.from({ length: 16 * 16 * 3 }, (_, index) => (Math.floor(index / 48) >= 1 && Math.floor(index / 48) < 15 ? 9 : 0));
    // The central three quarters hold neither of the two dark bands.
    expect(centreOf(flat, 1, 16, 0.75).every((value) => value === 9)).toBe(true);
  });

  it("normalises by ImageNet's numbers", () => {
    const first = patches({ ...wholeReading, fit: 'edge', normalisation: imageNetNormalisation })[0]!;
    expect(first).toBeCloseTo(-0.485 / 0.229, 5);
  });
});
