import { setImmediate } from 'node:timers/promises';
import type { Backend } from './backend.ts';
import { batchBuilder } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import { embedStep } from './train-step.ts';

/** Embeddings at unit length, row by row: `[count, width]` each. */
export interface Embeddings {
  readonly count: number;
  readonly width: number;
  readonly image: Float32Array;
  readonly text: Float32Array;
}

export interface EmbedWatch {
  progress?(done: number): void;
  readonly signal?: AbortSignal;
}

export interface Embedder {
  embed(rows: ArrayLike<number>, watch?: EmbedWatch): Promise<Embeddings>;
  restore(weights: Weights): void;
  dispose(): void;
}

/** Embeds rows in batches of one size; the last is filled up with its first row, whose results are dropped. */
export function embedder(
  backend: Backend,
  config: ModelConfig,
  weights: Weights,
  images: ImageSource,
  tokens: TokenSource,
  batch: number,
  reading: Reading = wholeReading,
): Embedder {
  const step = embedStep(backend, config, batch, weights, reading);
  const build = batchBuilder(config, images, tokens, batch, reading);
  return {
    async embed(rows, watch) {
      const width = config.embedding;
      const image = new Float32Array(rows.length * width);
      const text = new Float32Array(rows.length * width);
      for (let from = 0; from < rows.length; from += batch) {
        const used = Math.min(batch, rows.length - from);
        const result = step.embed(build(Uint32Array.from({ length: batch }, (_, index) => rows[from + (index < used ? index : 0)]!)));
        image.set(result.image.subarray(0, used * width), from * width);
        text.set(result.text.subarray(0, used * width), from * width);
        watch?.progress?.(from + used);
        // Steps block the event loop; this is where a stop gets through.
        await setImmediate();
        watch?.signal?.throwIfAborted();
      }
      return { count: rows.length, width, image, text };
    },
    restore: (values) => step.restore(values),
    dispose: () => step.dispose(),
  };
}
