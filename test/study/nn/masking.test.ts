import { beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../../../src/study/data/random.ts';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { batchBuilder } from '../../../src/study/nn/batches.ts';
import { maskingNames, maskingOf, stretchPositions } from '../../../src/study/nn/masking.ts';
import { modelConfig, type ModelConfig } from '../../../src/study/nn/model-config.ts';
import { attentionPairs, imageMacs, macsPerPair, textMacs, tokensPerPair } from '../../../src/study/nn/model-size.ts';
import { checkReading, patchesRead, placesRead, readCaption, textShape, type ImageReading } from '../../../src/study/nn/reading.ts';
import { openTestBackends } from './backends.ts';
import { directionalError, readableTokens } from './whole-model.ts';
import { tinyData } from './rig.ts';

const input = { resolution: 16, patch: 4, context: 8, vocabulary: 40 };
const configOf = (masking: string): ModelConfig => {
  const { attention, rotary } = maskingOf(masking, 5);
  return modelConfig('d16l2', { input, attention, rotary });
};

describe('ways of fitting captions into a budget, by name', () => {
  it('reads each name', () => {
    expect(maskingOf('random+tuned', 32)).toEqual({
      reading: { text: { kind: 'reduced', reducer: { kind: 'random' }, tokens: 32 }, image: { kind: 'whole' } },
      attention: undefined, rotary: false, tuned: true, stretched: false, auxiliary: null,
    });
    expect(maskingOf('bigbird-8-3-1+image-block-75', null, 4)).toMatchObject({
      attention: { kind: 'bigbird', block: 8, windowBlocks: 3, randomBlocks: 1, seed: 4 },
      reading: { text: { kind: 'whole' }, image: { kind: 'block', keep: 0.25 } },
    });
    expect(maskingOf('truncate+tuned+stretched', 8)).toMatchObject({ tuned: true, stretched: true });
    for (const name of maskingNames) if (name !== 'tuned' && name !== 'stretched') expect(() => maskingOf(name, 16), name).not.toThrow();
  });

  it.each([
    ['ramdom', 16, /"ramdom" is not known/],
    ['window', 16, /"window" is not known/],
    ['random', null, /random needs a budget/],
    ['random', 2, /a budget of 2 tokens leaves none/],
    ['random+block', 16, /two things about the caption/],
    ['tuned', 16, /nothing is left out before/],
    ['random+stretched', 16, /stretched needs positions that were not read/],
    ['image-random-100', 16, /keeps 0 % of the patches/],
  ] as const)('refuses %s with a budget of %s', (name, tokens, message) => {
    expect(() => maskingOf(name, tokens)).toThrow(message);
  });

  it('refuses what does not fit the model', () => {
    const narrow = { input, attention: { kind: 'window', width: 2, global: false } } as const;
    expect(() => modelConfig('d16l2', narrow)).toThrow('under window attention the token that is read does not see all of 8 tokens within 2 layers');
    expect(() => modelConfig('d16l7', narrow)).not.toThrow();
    expect(() => configOf('window-2')).not.toThrow(); // the token that is read is global
    expect(() => configOf('prefix-9')).toThrow(/a prefix of 9 tokens is longer than the 8/);
    expect(() => configOf('bigbird-2-2-1')).toThrow(/a BigBird window of 2 blocks has no middle/);
    expect(() => modelConfig('d18l1', { input, rotary: true, headWidth: 9 })).toThrow(/a head of d18l1 has 9/);
    expect(() => checkReading(modelConfig('d16l1', { input: { ...input, patch: 16 } }), { text: { kind: 'whole' }, image: { kind: 'resize' } })).toThrow(/it has 1 patches a side/);
    expect(() => checkReading(modelConfig('d16l1', { input }), maskingOf('block', 9).reading)).toThrow(/9 tokens is more than the context of 8/);
  });
});

describe('reading captions', () => {
  const tokens = readableTokens();
  const read = (name: string, budget: number): number[][] => {
    const { text } = maskingOf(name, budget).reading;
    const found: number[][] = [];
    readCaption(tokens, 0, text, textShape(modelConfig('d16l1', { input }), text).tokens, randomOf('draw'), (_, own) => void found.push(Array.from(own)));
    return found;
  };
  const [start, a, b, c, d, e, end] = [...tokens.ids.subarray(0, 7)] as [number, number, number, number, number, number, number];

  it('keeps what each way keeps, between start and end', () => {
    expect(read('full', 5)).toEqual([[start, a, b, c, d, e, end]]);
    expect(read('truncate', 5)).toEqual([[start, a, b, c, end]]);
    expect(read('chars77', 8)).toEqual([[start, a, b, c, d, end]]); // four tokens are all that the first characters have
    expect(read('chars77', 5)).toEqual([[start, a, b, c, end]]);
    expect(read('chunks', 5)).toEqual([[start, a, b, c, end], [start, d, e, end]]);
    expect(read('syntax', 4)).toEqual([[start, a, e, end]]); // the nouns are the first and the fifth
    for (const way of ['random', 'block', 'frequency']) {
      const [own] = read(way, 5);
      expect(own).toHaveLength(5);
      expect([own![0], own![4]]).toEqual([start, end]);
    }
    expect([[start, a, b, c, end], [start, d, e, end]]).toContainEqual(read('sentences', 5)[0]);
    expect(read('random', 8)).toEqual([[start, a, b, c, d, e, end]]);
  });

  it('says what is missing where captions were cut without it', () => {
    const plain = tinyData().tokens;
    const { text } = maskingOf('syntax', 4).reading;
    expect(() => readCaption(plain, 0, text, 4, randomOf('draw'), () => {})).toThrow(/set reducible: true of the stage tokenize/);
  });

  it('counts what is read, and attention by the pairs it allows', () => {
    const config = configOf('full');
    const { reading } = maskingOf('truncate', 5);
    expect(tokensPerPair(config, reading)).toEqual({ image: 17, text: 5 });
    expect(textMacs(config, reading)).toBe(2 * (12 * 5 * 256 + 2 * 25 * 16) + 16 * 16);
    expect(tokensPerPair(config, maskingOf('chunks', 5).reading).text).toBe(10);
    expect(textMacs(config, maskingOf('chunks', 5).reading)).toBe(2 * textMacs(config, reading));
    expect(attentionPairs(config)).toBe(64);
    // A window of one to each side over 8 tokens, 22 pairs, and 2 · 6 more that the start sees and is seen by.
    expect(attentionPairs(configOf('window-2'))).toBe(34);
    expect(attentionPairs(configOf('blocks-4'))).toBe(32 + 8);
    expect(attentionPairs(configOf('prefix-3'))).toBe(36 + 3); // rows 0 and 1 see two and one more
    expect(macsPerPair(configOf('window-2'))).toBe(macsPerPair(config) - 2 * 2 * 16 * (64 - 34));
    const quarter = maskingOf('image-grid', null).reading;
    expect(imageMacs(config, quarter)).toBe(2 * (12 * 5 * 256 + 2 * 25 * 16) + 48 * 4 * 16 + 256);
  });
});

describe('reading images', () => {
  const config = configOf('full');
  const places = (reading: ImageReading, seed: number): number[] => [...placesRead(config, reading, randomOf('patches', seed))!];

  it('draws patches, each as likely', () => {
    const counts = new Array<number>(16).fill(0);
    for (let seed = 0; seed < 800; seed++) {
      const drawn = places({ kind: 'random', keep: 0.25 }, seed);
      expect(drawn).toEqual([...new Set(drawn)].sort((x, y) => x - y));
      expect(drawn).toHaveLength(4);
      for (const place of drawn) counts[place]!++;
    }
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60);
  });

  it('keeps one patch of each 2 × 2, or a square', () => {
    for (let seed = 0; seed < 50; seed++) {
      const cells = places({ kind: 'grid' }, seed).map((place) => `${place >> 3},${(place & 3) >> 1}`);
      expect([...cells].sort()).toEqual(['0,0', '0,1', '1,0', '1,1']);
      const [first, ...rest] = places({ kind: 'block', keep: 0.25 }, seed);
      expect(rest.map((place) => place - first!)).toEqual([1, 4, 5]);
      expect(first! % 4).toBeLessThan(3);
    }
    expect(patchesRead(config, { kind: 'resize' })).toBe(4);
  });

  it('fills batches with the patches that are read and their places, and halves images by means', () => {
    const { images, tokens } = tinyData();
    const rows = Uint32Array.of(3, 7);
    const whole = batchBuilder(config, images, tokens, 2)(rows).patches;
    const build = batchBuilder(config, images, tokens, 2, { text: { kind: 'whole' }, image: { kind: 'random', keep: 0.25 } });
    const part = build(rows, { random: (row) => randomOf('patches', row) });
    expect(part.patches).toHaveLength(2 * 4 * 48);
    for (let index = 0; index < 8; index++) {
      const from = ((index >> 2) * 16 + part.places![index]! - 1) * 48;
      expect([...part.patches.subarray(index * 48, (index + 1) * 48)]).toEqual([...whole.subarray(from, from + 48)]);
    }
    const small = batchBuilder(config, images, tokens, 2, { text: { kind: 'whole' }, image: { kind: 'resize' } })(rows).patches;
    expect(small).toHaveLength(2 * 4 * 48);
    const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(small)).toBeCloseTo(mean(whole), 2);
  });
});

describe('stretched positions', () => {
  it('become 248 of 77 as Long-CLIP stretches them', () => {
    // A straight line stays one, at a quarter of its slope beyond the 20 that are kept.
    const line = stretchPositions(Float32Array.from({ length: 77 }, (_, i) => i), 1, 248);
    expect(line).toHaveLength(248);
    expect([0, 19, 20, 21, 24, 243, 244, 247].map((place) => line[place])).toEqual([0, 19, 20, 20.25, 21, 75.75, 76, 76.75]);
    expect(() => stretchPositions(new Float32Array(77), 1, 70)).toThrow(/cannot be stretched to 70/);
  });
});

describe('gradients of a whole model', () => {
  let backends: readonly Backend[] = [];
  beforeAll(async () => {
    backends = await openTestBackends();
  });

  it.each(maskingNames.filter((name) => name !== 'tuned' && name !== 'stretched').map((name) => name.replace('16-8', '2-3').replace('16-2', '2-2').replace('-16-apart', '-8-apart').replace(/-16$/, '-4').replace('8-3-1', '2-1-1')))(
    'are right under %s', (name) => {
      const { reading } = maskingOf(name, 5);
      expect(directionalError(backends[0]!, configOf(name), reading), backends[0]!.name).toBeLessThan(2e-3);
    },
  );
});
