import { randomOf } from '../data/random.ts';
import type { Augment } from './augment.ts';
import { batchBuilder, batchOrder } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import type { ModelConfig } from './model-config.ts';
import type { Reading } from './reading.ts';
import type { Batch } from './batch.ts';

/** All that decides which batch a step trains on, beside the images and tokens: plain data. */
export interface BatchPlan {
  readonly config: ModelConfig;
  /** Rows that are trained on. */
  readonly rows: ArrayLike<number>;
  readonly batch: number;
  readonly partSize: number;
  readonly seed: number;
  readonly augment: Augment | null;
  readonly reading: Reading;
}

/** The batch of a step (from 1), or its part (from 0), filled into the same arrays each time; a function of the plan alone. */
export function stepBatches(images: ImageSource, tokens: TokenSource, plan: BatchPlan): (step: number, part: number) => Batch {
  const { config, rows, batch, partSize, seed, augment, reading } = plan;
  const order = batchOrder(rows, batch, seed);
  const build = batchBuilder(config, images, tokens, partSize, reading);
  return (step, part) => {
    // One part draws from the step's own stream; of several, each from one of its own, since it may be asked for twice.
    const random = partSize === batch ? randomOf(seed, 'augment', step) : randomOf(seed, 'augment', step, part);
    const reads = randomOf(seed, 'reading', step, part);
    return build(order(step).subarray(part * partSize, (part + 1) * partSize), {
      ...(augment === null ? {} : { augment: { settings: augment, random } }),
      random: () => reads,
    });
  };
}
