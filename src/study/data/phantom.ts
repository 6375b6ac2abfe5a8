import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { writePairs } from './pairs.ts';
import type { Pair } from './pairs.ts';
import { drawPhantom } from './phantom-draw.ts';
import { usualFrequencies } from './phantom-presentations.ts';
import { captionOf, drawScene } from './phantom-scene.ts';
import type { CaptionStyle } from './phantom-scene.ts';
import { hashShare, randomOf } from './random.ts';
import type { Split } from './splits.ts';

export interface PhantomOptions {
  readonly count: number;
  /** Pixels of a side. */
  readonly resolution: number;
  readonly seed: number;
  readonly captions: CaptionStyle;
  /** For short captions: presentations of a view, and Zipf's exponent of their frequencies; see usualFrequencies. */
  readonly presentations?: number | undefined;
  readonly tail?: number | undefined;
  /** Shares of the cases, 0 to 1. */
  readonly validation: number;
  readonly test: number;
}

export interface PhantomHooks {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Each case's split is its own draw, so that more cases leave the splits of the first ones as they are. */
function splitOf(id: string, { seed, validation, test }: PhantomOptions): Split {
  const share = hashShare('phantom split', seed, id);
  return share < test ? 'test' : share < test + validation ? 'validation' : 'train';
}

const labels = { ct: 'ct', mri: 'mri', xray: 'x-ray', ultrasound: 'ultrasound' } as const;

/**
 * Draws a data set into `folder`: `images.raw` (grey, uint8, one image after the other), `pairs.jsonl` and `report.json`.
 * Case n depends on seed, n and the kind of caption (with its frequencies) alone: 1,000 cases are the first ones of 10,000.
 */
export async function drawPhantoms(folder: string, options: PhantomOptions, hooks: PhantomHooks = {}): Promise<Pair[]> {
  const { count, resolution, seed, captions } = options;
  if (!(options.validation >= 0) || !(options.test >= 0) || options.validation + options.test >= 1) {
    throw new RangeError(`validation ${options.validation} and test ${options.test} must be shares that leave something to train on`);
  }
  if (captions === 'long' && (options.presentations !== undefined || options.tail !== undefined)) {
    throw new RangeError('presentations and tail shape short captions; long ones have each attribute drawn for itself');
  }
  const { presentations = usualFrequencies.presentations, tail = usualFrequencies.tail } = options;
  const frequencies = { presentations, tail };
  const bytes = resolution * resolution;
  const batch = Math.max(1, Math.min(count, Math.floor((16 * 1024 * 1024) / bytes), 500));
  const buffer = new Uint8Array(batch * bytes);
  const digest = createHash('sha256');
  const pairs: Pair[] = [];
  const file = await open(join(folder, 'images.raw'), 'w');
  try {
    for (let begin = 0; begin < count; begin += batch) {
      hooks.signal?.throwIfAborted();
      const here = Math.min(batch, count - begin);
      for (let index = 0; index < here; index += 1) {
        const number = begin + index;
        const id = `case-${String(number).padStart(6, '0')}`;
        const random = randomOf('phantom scene', seed, number);
        const scene = drawScene(random, captions, frequencies);
        drawPhantom(scene, resolution, randomOf('phantom pixels', seed, number), buffer.subarray(index * bytes, (index + 1) * bytes));
        pairs.push({
          id,
          image: { file: 'images.raw', offset: number * bytes, width: resolution, height: resolution, channels: 1 },
          caption: captionOf(scene, captions, random),
          group: id,
          split: splitOf(id, options),
          licence: 'CC0',
          modality: labels[scene.view.split(' ')[0] as keyof typeof labels],
          source: 'phantom',
        });
      }
      const written = buffer.subarray(0, here * bytes);
      digest.update(written);
      await file.writeFile(written);
      hooks.onProgress?.(begin + here, count);
    }
  } finally {
    await file.close();
  }
  await writePairs(folder, pairs, [], { source: 'phantom', ...options, ...(captions === 'short' ? frequencies : {}), sha256: digest.digest('hex') });
  return pairs;
}
