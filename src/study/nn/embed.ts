import { setImmediate } from 'node:timers/promises';
import type { Backend } from './backend.ts';
import { batchBuilder } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import { embedStep } from './embed-step.ts';
import type { BatchEmbeddings } from './embed-step.ts';

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
  /** `[rows, width]`, without the cost of the captions. */
  embedImages(rows: ArrayLike<number>, watch?: EmbedWatch): Promise<Float32Array>;
  dispose(): void;
}

/** Embeds rows by a model of its own, in batches of one size. */
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
    embed: (rows, watch) => embedRows((some) => step.embed(build(some)), rows, batch, config.embedding, watch),
    async embedImages(rows, watch) {
      const none = new Float32Array(batch * config.embedding);
      return (await embedRows((some) => ({ image: step.embedImages(build(some)), text: none }), rows, batch, config.embedding, watch)).image;
    },
    dispose: () => step.dispose(),
  };
}

/** Embeds rows `batch` at a time; the last ones are filled up with their first row, whose results are dropped. */
export async function embedRows(
  embed: (rows: Uint32Array) => BatchEmbeddings,
  rows: ArrayLike<number>,
  batch: number,
  width: number,
  watch?: EmbedWatch,
): Promise<Embeddings> {
  const image = new Float32Array(rows.length * width);
  const text = new Float32Array(rows.length * width);
  for (let from = 0; from < rows.length; from += batch) {
    const used = Math.min(batch, rows.length - from);
    const result = embed(Uint32Array.from({ length: batch }, (_, index) => rows[from + (index < used ? index : 0)]!));
    image.set(result.image.subarray(0, used * width), from * width);
    text.set(result.text.subarray(0, used * width), from * width);
    watch?.progress?.(from + used);
    // Steps block the event loop; this is where a stop gets through.
    await setImmediate();
    watch?.signal?.throwIfAborted();
  }
  return { count: rows.length, width, image, text };
}
