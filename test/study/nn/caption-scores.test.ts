import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/study/nn/backend.ts';
import { captionScorer, captionScores, nextOf, promptScores } from '../../../src/study/nn/caption-scores.ts';
import { decoderKinds, decoderOf } from '../../../src/study/nn/decoder-config.ts';
import { checked, modelConfig } from '../../../src/study/nn/model-config.ts';
import { initialWeights, parametersOf } from '../../../src/study/nn/parameters.ts';
import { openTestBackends } from './backends.ts';
import { tinyData } from './rig.ts';

const base = modelConfig('d16l1', { input: { resolution: 16, patch: 8, context: 8, vocabulary: 40 } });
const { images, tokens } = tinyData(6);

let backend: Backend;
beforeAll(async () => {
  [backend] = (await openTestBackends()) as [Backend];
});

/** Rows `from` on of the captions as prompts of their own, the rest of each row filled with what must not count. */
function prompts(rows: readonly number[]) {
  const ids = Int32Array.from(rows.flatMap((row) => [...tokens.ids.subarray(row * 8, row * 8 + 7), 5]));
  return { count: rows.length, context: 8, vocabulary: 40, ids, lengths: new Uint16Array(rows.length).fill(7) };
}

describe('likelihoods of prompts', () => {
  it.each(decoderKinds)('of %s are those of equal captions, for each image, whatever the batch', async (kind) => {
    const config = checked({ ...base, decoder: decoderOf(kind) });
    const weights = initialWeights(parametersOf(config), 1);
    const rows = [0, 1, 2, 3, 4, 5];
    for (const prior of [0, 1]) {
      const whole = await captionScores(backend, config, weights, images, tokens, rows, { batch: 4, prior });
      const scored = await promptScores(backend, config, weights, images, prompts([3, 1]), rows, { batch: 5, prior });
      expect(scored.width).toBe(2);
      expect(scored.prompts).toEqual(Float32Array.of(1, 0, 0, 1));
      for (const image of rows) {
        for (const [place, caption] of [[0, 3], [1, 1]] as const) expect(scored.image[image * 2 + place]).toBeCloseTo(whole.image[image * 6 + caption]!, 4);
      }
      if (prior === 1) for (const place of [0, 1]) expect(rows.reduce((sum, image) => sum + Math.exp(scored.image[image * 2 + place]!), 0) / 6).toBeCloseTo(1, 5);
    }
  });
});

describe('likelihoods of captions', () => {
  it.each(decoderKinds)('of %s are the sums of what is said of each next token, which knows the image and no later token', async (kind) => {
    const config = checked({ ...base, decoder: decoderOf(kind) });
    const weights = initialWeights(parametersOf(config), 1);
    const { image } = await captionScores(backend, config, weights, images, tokens, [0, 1, 2], { batch: 3, prior: 0 });
    const scorer = captionScorer(backend, config, weights, 6);
    const found = (row: number, prefixes: readonly (readonly number[])[]) => nextOf(scorer, config, images, tokens, row, 6)(prefixes).map((logs) => Array.from(logs));
    for (const row of [0, 1, 2]) {
      const caption = [...tokens.ids.subarray(8, 15)];
      const next = found(row, caption.slice(1).map((_, place) => caption.slice(0, place + 1)));
      for (const logs of next) expect(logs.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 4);
      expect(image[row * 3 + 1]).toBeCloseTo(next.reduce((sum, logs, place) => sum + logs[caption[place + 1]!]!, 0), 3);
    }
    const [of, other] = [found(0, [[38, 2]]), found(1, [[38, 2]])];
    expect(Math.max(...of[0]!.map((log, id) => Math.abs(log - other[0]![id]!)))).toBeGreaterThan(1e-5);
    scorer.dispose();
  });
});
