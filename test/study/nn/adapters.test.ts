import { beforeAll, describe, expect, it } from 'vitest';
import { adapterNames, adapterOf } from '../../../src/study/nn/adapter-config.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { decoderKinds, decoderOf } from '../../../src/study/nn/decoder-config.ts';
import { embedder } from '../../../src/study/nn/embed.ts';
import { writeCaption } from '../../../src/study/nn/generate.ts';
import { checked, modelConfig, type ModelConfig } from '../../../src/study/nn/model-config.ts';
import { modelSize } from '../../../src/study/nn/model-size.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { wholeReading } from '../../../src/study/nn/reading.ts';
import { train } from '../../../src/study/nn/training.ts';
import { openTestBackends } from './backends.ts';
import { recordingWatch, tinyData, tinySettings } from './rig.ts';
import { afterTraining, directionalError } from './whole-model.ts';

const input = { resolution: 16, patch: 8, context: 8, vocabulary: 40 };
const base = modelConfig('d16l1', { input });
const withAdapter = (name: string): ModelConfig => checked({ ...base, adapter: adapterOf(name) });
const withDecoder = (kind: (typeof decoderKinds)[number]): ModelConfig => checked({ ...base, decoder: decoderOf(kind) });
const trainable = (config: ModelConfig): number => modelSize(config).trainable;

let backends: readonly Backend[] = [];
beforeAll(async () => {
  backends = await openTestBackends();
});

describe('adapters', () => {
  it('train as many parameters as their definitions say', () => {
    const [d, layers] = [64, 3];
    const of = (name: string): number => trainable(checked({ ...modelConfig('d64l3'), adapter: adapterOf(name) }));
    const bottleneck = (m: number): number => 2 * d * m + d + m;
    // Both towers each.
    expect(of('pfeiffer-4')).toBe(2 * layers * bottleneck(4));
    expect(of('houlsby-4')).toBe(2 * layers * (2 * bottleneck(4) + 4 * d));
    expect(of('lora-8')).toBe(2 * (2 * layers * 2 * d * 8));
    expect(of('clip-adapter')).toBe((d * d) / 2);
    expect(of('projections')).toBe(2 * d * d);
    expect(of('pfeiffer-4+hard')).toBe(5 * of('pfeiffer-4'));
    expect(of('pfeiffer-4+soft')).toBe(5 * of('pfeiffer-4') + 2 * layers * 5 * d);
    expect(of('pfeiffer-4+fusion')).toBe(2 * layers * 3 * d * d);
  });

  it("count LoRA's as published for ViT-B/32: 294,912 and 196,608", () => {
    const count = (config: ModelConfig, tower: string): number =>
      parametersOf(config).filter(({ name, part }) => part === 'adapters' && name.startsWith(tower)).reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
    const config = checked({ ...modelConfig('B/32'), adapter: adapterOf('lora-8') });
    expect([count(config, 'image'), count(config, 'text')]).toEqual([294_912, 196_608]);
  });

  it('begin as no change at all, but for the mixture of CLIP-Adapter', async () => {
    const { images, tokens } = tinyData();
    const [backend] = backends as [Backend];
    const weights = initialWeights(parametersOf(base), 1);
    const embeddings = async (config: ModelConfig): Promise<number[]> => {
      const embed = embedder(backend, config, new Map([...initialWeights(parametersOf(config), 1), ...weights]), images, tokens, 4);
      const { image, text } = await embed.embed([0, 1, 2, 3]);
      embed.dispose();
      return [...image, ...text];
    };
    const plain = await embeddings(base);
    for (const name of adapterNames.filter((name) => name !== 'clip-adapter')) {
      (await embeddings(withAdapter(name))).forEach((value, i) => expect(value, name).toBeCloseTo(plain[i]!, 5));
    }
  });

  it('are refused by name, and on towers that share weights', () => {
    expect(() => adapterOf('lora')).toThrow(/adapter: "lora" is not known/);
    expect(() => adapterOf('pfeiffer-0')).toThrow(/has no room/);
    expect(() => adapterOf('lora-4+hard')).toThrow(/lora cannot be one of several/);
    expect(() => adapterOf('pfeiffer-4+hard+soft')).toThrow(/is not known/);
    expect(() => checked({ ...modelConfig('d16l1', { input, sharing: 'blocks' }), adapter: adapterOf('lora-2') })).toThrow(/share weights/);
  });

  it.each(['projections', 'pfeiffer-4', 'houlsby-4', 'lora-2', 'clip-adapter', 'pfeiffer-4+hard', 'houlsby-4+soft', 'pfeiffer-4+fusion'])('%s has the right gradients, and the base stays as it is', async (name) => {
    const config = withAdapter(name);
    // Rounding comes to 2e-3 where few weights are trained; a softmax's gradient without its mean is 5 to 25 times further off.
    expect(directionalError(backends[0]!, config, wholeReading)).toBeLessThan(5e-3);
    // Fusion begins where adapters have been trained: over adapters that change nothing there is nothing to attend to.
    const start = initialWeights(name.endsWith('+fusion') ? afterTraining(parametersOf(config)) : parametersOf(config), 1);
    const { weights, rows } = await train(backends[0]!, config, { ...tinyData(), start }, { ...tinySettings, learningRate: 1e-2, steps: 30, evaluateEvery: 30 }, recordingWatch());
    for (const { name: of, frozen = false } of parametersOf(config)) {
      const same = weights.get(of)!.every((value, i) => value === start.get(of)![i]);
      // Hard routing sees no modality here but the last, and nothing of the others changes but by decay.
      if (frozen) expect(same, of).toBe(true);
      else if (!name.endsWith('+hard') || of.includes('.other.')) expect(same, of).toBe(false);
    }
    const losses = rows.filter(({ metric }) => metric === 'loss').map(({ value }) => value);
    expect(losses.slice(-5).reduce((a, b) => a + b)).toBeLessThan(losses.slice(0, 5).reduce((a, b) => a + b));
  });
});

describe('encoder–decoders', () => {
  it.each(decoderKinds)('%s has the right gradients and trains', async (kind) => {
    const config = withDecoder(kind);
    expect(directionalError(backends[0]!, config, wholeReading)).toBeLessThan(2e-3);
    const { rows } = await train(backends.at(-1)!, config, tinyData(), { ...tinySettings, steps: 60, evaluateEvery: 0 }, recordingWatch());
    const losses = rows.filter(({ metric }) => metric === 'loss').map(({ value }) => value);
    expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);
  });

  it('names and counts every weight once', () => {
    const [d, layers] = [16, 1];
    const count = (kind: (typeof decoderKinds)[number]): number => modelSize(withDecoder(kind)).parameters;
    const plain = modelSize(base).parameters;
    const block = 12 * d * d + 13 * d;
    const cross = 4 * d * d + 4 * d + 2 * d;
    expect(count('coca')).toBe(plain + layers * (block + cross) + 2 * d);
    expect(count('git')).toBe(plain - 2 * d * d - 1 + d * d + d);
    expect(count('prefix-lm')).toBe(40 * d + 8 * d + layers * block + 2 * d + 192 * d + 4 * d);
  });

  it('writes the likeliest caption: greedily what begins best, with beams what ends best', () => {
    // 0 starts, 3 ends; 1 is likelier at first, but what follows 2 is certain.
    const table: Readonly<Record<number, readonly number[]>> = { 0: [0, 0.6, 0.4, 0], 1: [0, 0.3, 0.3, 0.4], 2: [0, 0, 0, 1] };
    const next = (prefixes: readonly (readonly number[])[]): number[][] => prefixes.map((prefix) => table[prefix.at(-1)!]!.map(Math.log));
    const options = { start: 0, end: 3, limit: 6 };
    expect(writeCaption(next, options).tokens).toEqual([0, 1, 3]);
    expect(writeCaption(next, { ...options, beams: 2 })).toEqual({ tokens: [0, 2, 3], logProbability: Math.log(0.4) });
    expect(writeCaption(next, { ...options, limit: 2 }).tokens).toEqual([0, 1]);
  });
});
