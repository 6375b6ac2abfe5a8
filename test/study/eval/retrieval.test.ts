import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contrastiveLoss } from '../../../src/study/eval/contrastive-loss.ts';
import { lossMetrics, retrievalMetrics } from '../../../src/study/eval/metrics.ts';
import { positivesAmong, positivesByKeys } from '../../../src/study/eval/positives.ts';
import { chanceOf, retrievalRanks, scoreRanks, scoreRetrieval, seededPools } from '../../../src/study/eval/retrieval.ts';
import { type EmbeddingPairs, EmbeddingError } from '../../../src/study/eval/similarity.ts';

/** Embeddings whose product matrix (images down, texts across) is the one given: images are unit rows. */
function fromMatrix(matrix: readonly (readonly number[])[]): EmbeddingPairs {
  const width = matrix.length;
  const image = Float32Array.from({ length: width * width }, (_, i) => (Math.floor(i / width) === i % width ? 1 : 0));
  const text = Float32Array.from({ length: width * width }, (_, i) => matrix[i % width]![Math.floor(i / width)]!);
  return { image, text, width };
}

describe('retrieval ranks', () => {
  it('by hand, both ways', () => {
    const pairs = fromMatrix([
      [0.5, 0.75, 0.25],
      [0.25, 1, 0],
      [0.75, 0.5, 0.625],
    ]);
    const { imageToText, textToImage } = retrievalRanks(pairs);
    expect([...imageToText]).toEqual([2, 1, 2]);
    expect([...textToImage]).toEqual([2, 1, 1]);
    expect(scoreRanks(imageToText)).toEqual({ recall: { 1: 1 / 3, 5: 1, 10: 1 }, medianRank: 2, meanReciprocalRank: 2 / 3 });
  });

  it('give ties the average rank: a collapsed model is in the middle', () => {
    const count = 9;
    const one = new Float32Array(count * 4).fill(0.5);
    const ranks = retrievalRanks({ image: one, text: one, width: 4 });
    expect([...ranks.imageToText]).toEqual(Array(count).fill(5));
    expect([...ranks.textToImage]).toEqual(Array(count).fill(5));
    const scores = scoreRetrieval({ image: one, text: one, width: 4 });
    expect(scores.imageToText.recall[1]).toBe(0);
    expect(scores.imageToText.medianRank).toBe(scores.chanceRank);
  });

  it('count duplicates as right', () => {
    const pairs = fromMatrix([
      [0.25, 0.5, 0.75],
      [0.5, 0.5, 0.5],
      [0, 1, 0.5],
    ]);
    const positives = positivesByKeys(3, ['same', 'other', 'same']);
    expect(positives.map((rows) => [...rows])).toEqual([[0, 2], [1], [0, 2]]);
    const { imageToText, textToImage } = retrievalRanks(pairs, positives);
    expect([...imageToText]).toEqual([1, 2, 2]); // row 1: a tie of three, one right; row 2: 1 above 0.5
    expect([...textToImage]).toEqual([2, 2.5, 1]); // column 1: 1 above, then a tie of two, one right
  });

  it('average over the orders of a tie with several right ones', () => {
    const flat = new Float32Array(5 * 2).fill(0.5);
    const positives = positivesByKeys(5, ['a', 'a', 'b', 'c', 'd']);
    expect([...retrievalRanks({ image: flat, text: flat, width: 2 }, positives).imageToText]).toEqual([2, 2, 3, 3, 3]);
  });

  it('are those of a plain sort, at sizes beside the tiles', () => {
    for (const [count, width] of [
      [1, 3],
      [67, 5],
      [131, 9],
      [200, 1],
    ] as const) {
      let seed = 1;
      const next = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
      const values = (): Float32Array => Float32Array.from({ length: count * width }, () => Math.round(8 * next() - 4) / 4);
      const pairs = { image: values(), text: values(), width };
      const keys = Array.from({ length: count }, (_, i) => `${i % 40}`);
      const positives = positivesByKeys(count, keys);
      const ranks = retrievalRanks(pairs, positives);
      for (let i = 0; i < count; i += 1) {
        const score = (j: number): number => {
          let sum = 0;
          for (let k = 0; k < width; k += 1) sum += pairs.image[i * width + k]! * pairs.text[j * width + k]!;
          return sum;
        };
        const scores = keys.map((_, j) => score(j));
        const right = keys.map((key) => key === keys[i]);
        const best = Math.max(...scores.filter((_, j) => right[j]));
        const tied = scores.flatMap((value, j) => (value === best ? [right[j]] : []));
        const rightTied = tied.filter(Boolean).length;
        expect(ranks.imageToText[i]).toBe(scores.filter((value) => value > best).length + (tied.length + 1) / (rightTied + 1));
      }
    }
  });

  it('refuse numbers that are not finite: a model that diverged must not rank first', () => {
    const image = new Float32Array(6).fill(1);
    const text = image.slice();
    text[4] = NaN;
    expect(() => retrievalRanks({ image, text, width: 2 })).toThrow(/text embedding of row 2 holds NaN/);
    expect(() => contrastiveLoss({ image, text, width: 2 }, 10, 3)).toThrow(EmbeddingError);
    expect(() => retrievalRanks({ image, text: new Float32Array(4), width: 2 })).toThrow(/not \[count, 2\] both/);
    expect(() => scoreRetrieval({ image: new Float32Array(0), text: new Float32Array(0), width: 2 })).toThrow(/no pairs/);
  });
});

describe('chance', () => {
  it('by hand', () => {
    const { chance, chanceRank } = chanceOf(positivesByKeys(20));
    expect(chance[1]).toBeCloseTo(1 / 20, 12);
    expect(chance[5]).toBeCloseTo(5 / 20, 12);
    expect(chanceRank).toBe(10.5);
    // Two right ones of four: at 1, a half.
    expect(chanceOf(positivesByKeys(4, ['a', 'a', 'b', 'b'])).chance[1]).toBe(0.5);
    expect(chanceOf(positivesByKeys(3)).chance[5]).toBe(1);
  });

  it('is what random scores reach', () => {
    let seed = 5;
    const next = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const count = 600;
    const values = (): Float32Array => Float32Array.from({ length: count * 16 }, () => next() - 0.5);
    const { recall } = scoreRetrieval({ image: values(), text: values(), width: 16 }, { pool: 20 }).imageToText;
    expect(recall[5]).toBeGreaterThan(0.2);
    expect(recall[5]).toBeLessThan(0.3);
  });
});

describe('pools', () => {
  it('are disjoint, fixed by the seed, and whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 60 }), fc.integer(), (count, size, seed) => {
        const pools = seededPools(count, size, seed);
        const rows = pools.flatMap((pool) => [...pool]);
        expect(new Set(rows).size).toBe(rows.length);
        expect(pools.every((pool) => pool.length === Math.min(size, count))).toBe(true);
        expect(count - rows.length).toBeLessThan(size);
        expect(seededPools(count, size, seed)).toEqual(pools);
      }),
    );
    expect(seededPools(100, 10, 1)).not.toEqual(seededPools(100, 10, 2));
    expect(() => seededPools(10, 0, 1)).toThrow(/impossible/);
  });

  it('keep the positives inside them', () => {
    const positives = positivesByKeys(6, ['a', 'b', 'a', 'b', 'a', 'c'], ['x', 'y', 'z', 'w', 'v', 'x']);
    expect(positives.map((rows) => [...rows])).toEqual([
      [0, 2, 4, 5],
      [1, 3],
      [0, 2, 4],
      [1, 3],
      [0, 2, 4],
      [0, 5],
    ]);
    expect(positivesAmong(positives, [4, 5, 0]).map((rows) => [...rows])).toEqual([
      [0, 2],
      [1, 2],
      [0, 1, 2],
    ]);
  });

  it('average their scores: a perfect model is perfect in each', () => {
    const pairs = fromMatrix(Array.from({ length: 25 }, (_, i) => Array.from({ length: 25 }, (_, j) => (i === j ? 1 : 0))));
    const scores = scoreRetrieval(pairs, { pool: 10, seed: 3 });
    expect(scores).toMatchObject({ pool: 10, pools: 2, chance: { 10: 1 } });
    expect(scores.chance[1]).toBeCloseTo(0.1, 12);
    expect(scores.textToImage).toEqual({ recall: { 1: 1, 5: 1, 10: 1 }, medianRank: 1, meanReciprocalRank: 1 });
    expect(scoreRetrieval(pairs, { pool: 1000 })).toMatchObject({ pool: 25, pools: 1 });
    const metrics = new Map(retrievalMetrics(scores, '_pool_10').map(({ metric, value }) => [metric, value]));
    expect(metrics.get('recall_at_1_pool_10')).toBe(1);
    expect(metrics.get('chance_at_5_pool_10')).toBeCloseTo(0.5);
    expect(metrics.get('image_to_text_median_rank_pool_10')).toBe(1);
  });
});

describe('the contrastive loss', () => {
  it('is ln of the pool for a model that knows nothing', () => {
    const one = new Float32Array(64 * 4).fill(0.5);
    const { loss, chance, pool, pools } = contrastiveLoss({ image: one, text: one, width: 4 }, 100, 32);
    expect(loss).toBeCloseTo(Math.log(32), 12);
    expect({ chance, pool, pools }).toEqual({ chance: Math.log(32), pool: 32, pools: 2 });
  });

  it('by hand, both ways', () => {
    const pairs = fromMatrix([
      [1, 0.5],
      [0, 0.25],
    ]);
    const entropy = (own: number, other: number): number => -own + Math.log(Math.exp(own) + Math.exp(other));
    const rows = entropy(2, 1) + entropy(0.5, 0);
    const columns = entropy(2, 0) + entropy(0.5, 1);
    const result = contrastiveLoss(pairs, 2, 10);
    expect(result.loss).toBeCloseTo((rows + columns) / 4, 12);
    expect(lossMetrics(result)).toEqual([
      { metric: 'loss', value: result.loss },
      { metric: 'loss_chance', value: Math.log(2) },
      { metric: 'pool', value: 2 },
    ]);
  });

  it('does not overflow, and is near zero for a perfect model', () => {
    const pairs = fromMatrix(Array.from({ length: 70 }, (_, i) => Array.from({ length: 70 }, (_, j) => (i === j ? 1 : -1))));
    expect(contrastiveLoss(pairs, 5000, 70).loss).toBe(0);
    expect(() => contrastiveLoss(pairs, NaN, 70)).toThrow(/logit scale/);
  });
});
