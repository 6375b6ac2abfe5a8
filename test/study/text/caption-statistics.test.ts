import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseCaptions } from '../../../src/study/data/roco-text.ts';
import { captionStatistics } from '../../../src/study/text/caption-statistics.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

it('counts characters, words, tokens, repeats, and what 77 characters keep', () => {
  const metrics = new Map(captionStatistics(['a photo of a cat', 'a photo of a cat', `${'x '.repeat(50)}😀`]).map(({ metric, value }) => [metric, value]));
  expect(['duplicate_captions', 'characters_max', 'words_p50', 'words_max', 'tokens_p50', 'tokens_max', 'distinct_tokens', 'tokens_used_5_times', 'chars77_tokens_max', 'chars77_truncated'].map(name => metrics.get(name))).toEqual([1, 101, 5, 51, 5, 51, 6, 1, 39, 1 / 3]);
  expect(metrics.get('covered_by_2000')).toBe(1);
});

it.skipIf(!hasShared)('reproduces the published statistics of the captions of ROCO validation and test (needs the shared data)', () => {
  const captions = ['validation', 'test'].flatMap(split => [...parseCaptions(readFileSync(sharedPath('roco-mirror', 'roco-dataset', 'data', split, 'radiology', 'captions.txt'), 'utf8'), split).rows.values()]);
  const metrics = new Map(captionStatistics(captions).map(({ metric, value }) => [metric, value]));
  const whole = { captions: 16359, duplicate_captions: 80, characters_p50: 114, characters_p90: 256, characters_p99: 502, characters_max: 1979, words_p50: 16, words_max: 348, tokens_p50: 26, tokens_p75: 41, tokens_p90: 60, tokens_p95: 77, tokens_p99: 118, tokens_p99_9: 209, tokens_max: 578, distinct_tokens: 10989, tokens_used_2_times: 7879, tokens_used_5_times: 5017, chars77_tokens_max: 35 };
  expect(Object.fromEntries(Object.keys(whole).map(name => [name, metrics.get(name)]))).toEqual(whole);
  const rounded = { characters_mean: [138, 0.5], words_mean: [20.2, 0.05], tokens_mean: [32.0, 0.05], covered_by_2000: [0.913, 1e-3], covered_by_4000: [0.968, 5e-4], covered_by_8000: [0.994, 5e-4] };
  for (const [name, [value, by]] of Object.entries(rounded)) expect(Math.abs(metrics.get(name)! - value!), name).toBeLessThanOrEqual(by!);
  // The published numbers are of the captions as the list has them, each after a space.
  const spaced = new Map(captionStatistics(captions.map(caption => ` ${caption}`)).map(({ metric, value }) => [metric, value]));
  for (const [name, value, by] of [['chars77_truncated', 0.718, 5e-4], ['chars77_tokens_kept', 0.498, 5e-4], ['chars77_tokens_mean', 15.9, 0.05]] as const) expect(Math.abs(spaced.get(name)! - value), name).toBeLessThanOrEqual(by);
  const contexts = [[16, 0.793, 0.411], [32, 0.402, 0.711], [48, 0.19, 0.855], [64, 0.091, 0.924], [77, 0.052, 0.953], [128, 0.0073, 0.989], [248, 0.0004, 0.999]];
  for (const [context, truncated, kept] of contexts) {
    expect(Math.abs(metrics.get(`truncated_at_${context}`)! - truncated!), `truncated at ${context}`).toBeLessThan(6e-4);
    expect(Math.abs(metrics.get(`tokens_kept_at_${context}`)! - kept!), `kept at ${context}`).toBeLessThan(6e-4);
  }
});
