/** The forward pass of both towers without a gradient. */
import type { Backend } from './backend.ts';
import { batchFeeds, imageFeeds, textFeeds } from './batch.ts';
import type { Batch } from './batch.ts';
import { embedImages, embedTexts } from './clip.ts';
import { compileForward } from './compiled-forward.ts';
import type { ForwardFunction } from './compiled-forward.ts';
import type { Tensor } from './kernels.ts';
import type { ModelConfig } from './model-config.ts';
import type { Weights } from './parameters.ts';
import { parametersOf } from './parameters.ts';
import { wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import { Tape } from './tape.ts';

/** Embeddings `[batch, embedding]` at unit length of images and of captions. */
export interface BatchEmbeddings {
  readonly image: Float32Array;
  readonly text: Float32Array;
}

/** The forward pass alone; of the images alone where no texts are fed. */
export const forward = (config: ModelConfig, batch: number, reading: Reading): ForwardFunction => (kernels, feeds, weight) => {
  const tape = new Tape(kernels);
  const outputs: Record<string, Tensor> = { image: embedImages(tape, weight, config, imageFeeds(feeds), batch, { reading }) };
  if (feeds['ids'] !== undefined) outputs['text'] = embedTexts(tape, weight, config, textFeeds(feeds), batch, { reading });
  return outputs;
};

export const embeddingsOf = (outputs: Readonly<Record<string, Float32Array>>): BatchEmbeddings => ({ image: outputs['image']!, text: outputs['text']! });

export interface EmbedStep {
  embed(batch: Batch): BatchEmbeddings;
  /** `[batch, width]` */
  embedImages(batch: Batch): Float32Array;
  dispose(): void;
}

const imageFeedNames: ReadonlySet<string> = new Set(['patches', 'places', 'route']);

/** The forward pass alone, for evaluation. */
export function embedStep(backend: Backend, config: ModelConfig, batch: number, weights: Weights, reading: Reading = wholeReading): EmbedStep {
  const parameters = parametersOf(config).filter(({ name }) => name !== 'logit_scale');
  const state = new Map(parameters.map(({ name, shape }) => [name, { shape, values: weights.get(name)! }]));
  const compiled = compileForward(backend, forward(config, batch, reading), state);
  const all = Object.entries(batchFeeds(config, batch, reading));
  const ofImages = all.filter(([name]) => imageFeedNames.has(name));
  const call = (data: Batch, feeds: typeof all): Record<string, Float32Array> =>
    compiled.call(Object.fromEntries(feeds.map(([name, { shape }]) => [name, { shape, values: data[name as keyof Batch]! }])));
  return {
    embed: (data) => embeddingsOf(call(data, all)),
    embedImages: (data) => call(data, ofImages)['image']!,
    dispose: () => compiled.dispose(),
  };
}
