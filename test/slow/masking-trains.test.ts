import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/study/nn/backend.ts';
import { maskingNames, maskingOf } from '../../src/study/nn/masking.ts';
import { checked, modelConfig } from '../../src/study/nn/model-config.ts';
import { train } from '../../src/study/nn/training.ts';
import { hasNative, openTestBackend } from '../study/nn/backends.ts';
import { recordingWatch, tinyData, tinySettings } from '../study/nn/rig.ts';
import { readableTokens } from '../study/nn/whole-model.ts';

/** Names with numbers that fit eight tokens; those that change a reading join one. */
const small = (name: string): string =>
  name === 'tuned' ? 'random+tuned' : name === 'stretched' ? 'truncate+tuned+stretched'
  : name.replace('16-8', '2-3').replace('16-2', '2-2').replace('-16-apart', '-8-apart').replace(/-16$/, '-4').replace('8-3-1', '2-1-1');

describe('a model under each way of fitting captions into a budget', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openTestBackend(hasNative ? 'tensorflow' : 'wasm');
  });

  it.each(maskingNames.map(small))('trains: %s', async (name) => {
    const { reading, attention, rotary, tuned, stretched, auxiliary } = maskingOf(name, 6);
    const plain = modelConfig('d16l2', { input: { resolution: 16, patch: 4, context: 8, vocabulary: 40 }, attention, rotary });
    const config = auxiliary === null ? plain : checked({ ...plain, auxiliary: { kind: auxiliary, weight: 0.5 } });
    const settings = { ...tinySettings, steps: 120, evaluateEvery: 120, reading, ...(tuned ? { wholeFrom: 101, stretch: stretched } : {}) };
    const { rows } = await train(backend, config, { ...tinyData(), tokens: readableTokens() }, settings, recordingWatch());
    expect(rows.findLast(({ metric }) => metric === 'validation_loss')!.value).toBeLessThan(0.85 * Math.log(32));
  });
});
