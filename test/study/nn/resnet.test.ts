import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { checked, modelConfig } from '../../../src/study/nn/model-config.ts';
import { modelSize } from '../../../src/study/nn/model-size.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { wholeReading } from '../../../src/study/nn/reading.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import { rectified } from '../../../src/study/nn/adapter-layers.ts';
import type { Tensor } from '../../../src/study/nn/kernels.ts';
import { batchNorm, convolve, meanPool } from '../../../src/study/nn/resnet-layers.ts';
import { Tape } from '../../../src/study/nn/tape.ts';
import { train } from '../../../src/study/nn/training.ts';
import { openTestBackends } from './backends.ts';
import { recordingWatch, tinyData, tinySettings } from './rig.ts';
import { directionalError } from './whole-model.ts';

const tiny = checked({ ...modelConfig('r2d16l1', { input: { resolution: 32, context: 8, vocabulary: 40 } }) });
/** The tiny images, each pixel four times. */
function largerData() {
  const data = tinyData();
  return {
    ...data,
    images: {
      ...data.images,
      resolution: 32,
      read(indices: ArrayLike<number>, out: Uint8Array): void {
        const small = new Uint8Array(indices.length * 256 * 3);
        data.images.read(indices, small);
        for (let at = 0; at < out.length; at++) {
          const [image, row, column] = [Math.floor(at / 3072), Math.floor((at % 3072) / 96), Math.floor((at % 96) / 3)];
          out[at] = small[((image * 16 + (row >> 1)) * 16 + (column >> 1)) * 3 + (at % 3)]!;
        }
      },
    },
  };
}

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

describe("CLIP's ResNets", () => {
  it.each([
    ['RN50', '102.01', '38.32', 9.12],
    ['RN50x4', '178.3', '87.14', 25.99],
  ])('%s has the published parameters and compute', (name, all, image, gmac) => {
    const digits = (text: string): number => text.split('.')[1]!.length;
    const size = modelSize(name);
    expect((size.parameters / 1e6).toFixed(digits(all))).toBe(all);
    const tower = parametersOf(modelConfig(name)).filter(({ part, kept = false }) => part === 'image tower' && !kept);
    expect((tower.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) / 1e6).toFixed(2)).toBe(image);
    // Published counts hold the norms as well, some 3 %.
    expect(size.macsPerPair / 1e9 / gmac).toBeGreaterThan(0.95);
    expect(size.macsPerPair / 1e9 / gmac).toBeLessThan(1);
  });

  it('convolves and pools as by hand', () => {
    const step = backends[0]!.compileStep(
      (kernels, feeds) => {
        const tape = new Tape(kernels);
        const x = feeds['x']!;
        const weight = kernels.constant(new Float32Array(9).fill(1), [9, 1]);
        return {
          same: convolve(tape, x, weight, { batch: 1, side: 3, size: 3, stride: 1 }),
          half: convolve(tape, x, weight, { batch: 1, side: 3, size: 3, stride: 2 }),
          mean: meanPool(tape, x, 1, 3),
        };
      },
      { x: { shape: [9, 1], dtype: 'float32' } },
      { state: new Map() },
    );
    const { same, half, mean } = step.call({ x: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) });
    expect([...same!]).toEqual([12, 21, 16, 27, 45, 33, 24, 39, 28]);
    expect([...half!]).toEqual([12, 16, 24, 28]);
    expect([...mean!]).toEqual([3]);
    step.dispose();
  });

  it('have layers with the right gradients', () => {
    const random = randomOf('resnet layers');
    const values = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
    const feeds = { x: [18, 2], weight: [18, 3], gain: [3], bias: [3] } as const;
    const step = backends[0]!.compileStep(
      (kernels, given) => {
        const tape = new Tape(kernels);
        const watched = new Map(Object.keys(feeds).map((name) => [name, tape.watch(given[name]!)]));
        const weight = (name: string): Tensor => watched.get(name.split('.')[1]!)!;
        const h = convolve(tape, watched.get('x')!, watched.get('weight')!, { batch: 2, side: 3, size: 3, stride: 1 });
        const output = meanPool(tape, rectified(tape, batchNorm(tape, h, weight, 'norm', new Map())), 2, 3);
        const along = kernels.constant(Float32Array.from({ length: 6 }, (_, i) => i - 2.2), output.shape);
        return { sum: kernels.total(kernels.multiply(output, along)), ...Object.fromEntries(tape.gradients(output, along, watched)) };
      },
      Object.fromEntries(Object.entries(feeds).map(([name, shape]) => [name, { shape, dtype: 'float32' as const }])),
      { state: new Map() },
    );
    const point = Object.fromEntries(Object.entries(feeds).map(([name, shape]) => [name, values(shape.reduce((a: number, b) => a * b, 1))]));
    const gradients = step.call(point);
    for (const [name, array] of Object.entries(point)) {
      array.forEach((value, index) => {
        const at = (shift: number): number => {
          array[index] = value + shift;
          const { sum } = step.call(point);
          array[index] = value;
          return sum![0]!;
        };
        const difference = (at(1e-3) - at(-1e-3)) / 2e-3;
        expect(Math.abs(gradients[name]![index]! - difference), `${name}[${index}]`).toBeLessThan(2e-2 * (1 + Math.abs(difference)));
      });
    }
    step.dispose();
  });

  it('have the right gradients, and train, and keep what norms have seen', async () => {
    // Not along the stem: on flat pictures a step there takes whole images over the bend of the rectifier.
    expect(directionalError(backends[0]!, tiny, wholeReading, largerData(), /^(image\.(stage|pool)|text|logit)/)).toBeLessThan(5e-3);
    const settings = { ...tinySettings, steps: 60, evaluateEvery: 60 };
    const { rows, weights } = await train(backends.at(-1)!, tiny, largerData(), settings, recordingWatch());
    expect(rows.findLast(({ metric }) => metric === 'validation_loss')!.value).toBeLessThan(0.9 * Math.log(32));
    expect(weights.get('image.stem1.norm.mean')!.some((value) => value !== 0)).toBe(true);
    const start = initialWeights(parametersOf(tiny), 1);
    expect(weights.get('image.stem1.norm.variance')).not.toEqual(start.get('image.stem1.norm.variance'));
  });

  it('take no adapters, sharing or dropped patches', () => {
    expect(() => checked({ ...tiny, adapter: { kind: 'lora', rank: 2 } })).toThrow(/has a ResNet/);
    expect(() => modelConfig('RN50', { sharing: 'blocks' })).toThrow(/needs towers of one shape/);
    expect(() => modelConfig('r2d16l1', { input: { resolution: 40 } })).toThrow(/patches of 32 pixels do not fill 40/);
  });
});
