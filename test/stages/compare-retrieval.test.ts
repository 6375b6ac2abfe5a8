import { describe, expect, it } from 'vitest';
import { randomOf } from '../../src/study/data/random.ts';
import { writeEmbeddings } from '../../src/study/eval/embedding-folder.ts';
import { positivesByKeys } from '../../src/study/eval/positives.ts';
import { pooledRanks, scoreRanks, scoreRetrieval } from '../../src/study/eval/retrieval.ts';
import { stage } from '../../stages/compare-retrieval.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const [count, width] = [120, 8];
/** Texts are their images and `noise`. */
function pairs(noise: number, seed = 'pairs') {
  const unit = (values: readonly number[]): number[] => values.map((value) => value / Math.hypot(...values));
  const [what, off] = [randomOf('images'), randomOf(seed, noise)];
  const images = Array.from({ length: count }, () => unit(Array.from({ length: width }, () => what.normal())));
  const texts = images.map((image) => unit(image.map((value) => value + noise * off.normal())));
  return { width, image: Float32Array.from(images.flat()), text: Float32Array.from(texts.flat()) };
}

async function folder(noise: number, change: { captions?: null; ids?: string } = {}): Promise<string> {
  const own = pairs(noise);
  const rows = Array.from({ length: count }, (_, row) => ({ id: `${change.ids ?? 'r'}${row}`, group: `g${row >> 2}`, split: 'test' as const, modality: 'ct', caption: change.captions === null ? null : `c${row}` }));
  const path = await temporaryFolder();
  await writeEmbeddings(path, { kind: 'embeddings', logitScale: 10, rows, prompts: { texts: [], values: new Float32Array(0) }, facts: [], ...own });
  return path;
}

describe('ranks in pools', () => {
  it('are those that scores are averaged over', () => {
    const own = pairs(0.5);
    const positives = positivesByKeys(count);
    const ranks = pooledRanks(own, { pool: 40, seed: 3, positives });
    expect([...ranks.rows].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, row) => row));
    const scores = scoreRetrieval(own, { pool: 40, seed: 3, positives });
    expect(scoreRanks(ranks.imageToText).recall[10]).toBeCloseTo(scores.imageToText.recall[10], 12);
    expect(scoreRanks(ranks.textToImage).recall[1]).toBeCloseTo(scores.textToImage.recall[1], 12);
  });
});

describe('the stage compare-retrieval', () => {
  it('finds the difference of two models on the same pairs, with an interval over groups', async () => {
    const [better, worse] = [await folder(0.3), await folder(0.9)];
    const { metrics } = await runStage(stage, { params: { pool: 60, replicates: 2000 }, inputs: { embeddings: better, reference: worse } });
    const recall = (noise: number): number => {
      const { imageToText, textToImage } = scoreRetrieval(pairs(noise), { pool: 60, seed: 1 });
      return (imageToText.recall[1] + textToImage.recall[1]) / 2;
    };
    expect(metrics.get('recall_at_1_difference')).toBeCloseTo(recall(0.3) - recall(0.9), 12);
    expect(metrics.get('recall_at_1_difference_low')!).toBeGreaterThan(0);
    expect(metrics.get('recall_at_1_p')).toBe(1 / 2000);
    expect(metrics.get('groups')).toBe(30);
    const back = await runStage(stage, { params: { pool: 60, replicates: 2000 }, inputs: { embeddings: worse, reference: better } });
    expect(back.metrics.get('recall_at_1_difference')).toBeCloseTo(-metrics.get('recall_at_1_difference')!, 12);
  });

  it('finds none between a model and itself', async () => {
    const same = await folder(0.5);
    const { metrics } = await runStage(stage, { params: { pool: 60, replicates: 200 }, inputs: { embeddings: same, reference: same } });
    for (const name of ['recall_at_1', 'recall_at_5', 'recall_at_10', 'mean_reciprocal_rank']) {
      expect([metrics.get(`${name}_difference`), metrics.get(`${name}_difference_low`), metrics.get(`${name}_p`)]).toEqual([0, 0, 1]);
    }
  });

  it('refuses other pairs, and images without captions', async () => {
    const own = await folder(0.5);
    await expect(runStage(stage, { params: {}, inputs: { embeddings: own, reference: await folder(0.5, { ids: 'x' }) } })).rejects.toThrow('row 0 is r0 in one and x0 in the other: embed the same pairs of the same split');
    await expect(runStage(stage, { params: {}, inputs: { embeddings: own, reference: await folder(0.5, { captions: null }) } })).rejects.toThrow(/: 0 pairs of the split "test" are embedded with their captions; ask embed for them, pairs: \{ test: all \}, imagesOnly: \[\]/);
  });
});
