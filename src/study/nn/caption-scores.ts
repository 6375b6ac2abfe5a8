/** An encoder–decoder's captions: how likely it finds each for each image, and what it would write itself. */
import { setImmediate } from 'node:timers/promises';
import type { Backend } from './backend.ts';
import { batchBuilder } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import { decode } from './decoder.ts';
import { tokenLosses } from './decoder-layers.ts';
import type { Embeddings, EmbedWatch } from './embed.ts';
import type { Next } from './generate.ts';
import type { Tensor } from './kernels.ts';
import { gatherRows } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { parametersOf } from './parameters.ts';
import type { Weights } from './parameters.ts';
import { type Reading, textShape, wholeReading } from './reading.ts';
import { Tape } from './tape.ts';
import { batchFeeds, imageFeeds, textFeeds } from './batch.ts';
import type { Batch } from './batch.ts';

export interface CaptionScorer {
  /** log p(caption | image) of each pair of a batch, summed over its tokens, end included. */
  score(batch: Batch): Float32Array;
  /** log p of each next token at the rows `ends`, `[batch * vocabulary]`. */
  next(batch: Batch): Float32Array;
  dispose(): void;
}

export function captionScorer(backend: Backend, config: ModelConfig, weights: Weights, batch: number, reading: Reading = wholeReading): CaptionScorer {
  const parameters = parametersOf(config);
  const { tokens } = textShape(config, reading.text);
  const declared = batchFeeds(config, batch, reading);
  const hiddenOf = (tape: Tape, weight: (name: string) => Tensor, feeds: Readonly<Record<string, Tensor>>): Tensor =>
    decode(tape, weight, config, { image: imageFeeds(feeds), text: textFeeds(feeds) }, batch, { reading }).hidden;
  const program = backend.compileProgram(
    {
      score: {
        feeds: declared,
        run(kernels, feeds, access) {
          const tape = new Tape(kernels);
          const losses = tokenLosses(tape, hiddenOf(tape, (name) => access.read(name), feeds), access.read('text.embedding'), feeds['targets']!);
          return { score: kernels.scale(kernels.sum(kernels.reshape(kernels.multiply(losses, feeds['counted']!), [batch, tokens]), 1), -1) };
        },
      },
      next: {
        feeds: declared,
        run(kernels, feeds, access) {
          const tape = new Tape(kernels);
          const last = gatherRows(tape, hiddenOf(tape, (name) => access.read(name), feeds), feeds['ends']!);
          const logits = kernels.matMul(last, access.read('text.embedding'), false, true);
          const max = kernels.max(logits, 1);
          const sum = kernels.log(kernels.sum(kernels.exp(kernels.subtract(logits, max)), 1));
          return { next: kernels.subtract(logits, kernels.add(max, sum)) };
        },
      },
    },
    { state: new Map(parameters.map(({ name, shape }) => [name, { shape, values: weights.get(name)! }])) },
  );
  return {
    score: (data) => program.call('score', { ...data })['score']!,
    next: (data) => program.call('next', { ...data })['next']!,
    dispose: () => program.dispose(),
  };
}

/** How scores are worked out: `prior` is how much of log p(text), estimated over the images, is taken off log p(text | image). */
export interface ScoreOptions {
  readonly batch: number;
  readonly reading?: Reading;
  readonly prior?: number;
  readonly watch?: EmbedWatch;
}

/**
 * Scores of every caption for every image of `rows`, in the form that retrieval takes: image i has the scores as its row, and text j
 * is the unit vector that picks its own, `[rows, rows]` each. A score is log p(caption | image) less `prior` times the log of its mean
 * over these images: with 1, how much more likely the image makes the caption.
 */
export async function captionScores(
  backend: Backend,
  config: ModelConfig,
  weights: Weights,
  images: ImageSource,
  tokens: TokenSource,
  rows: ArrayLike<number>,
  { reading = wholeReading, ...options }: ScoreOptions,
): Promise<Embeddings> {
  const count = rows.length;
  const one = batchBuilder(config, images, tokens, 1, reading);
  // Copies, since the builder gives the same arrays again.
  const parts = Array.from({ length: count }, (_, index) => structuredClone(one(Uint32Array.of(rows[index]!))));
  const image = await scoreTable(captionScorer(backend, config, weights, options.batch, reading), count, (index) => parts[index]!, parts, options);
  return { count, width: count, image, text: picking(count) };
}

/** Scores of every prompt for every image of `rows`, `[rows, prompts]`, as captionScores has them of captions, and unit vectors that pick a prompt's. */
export async function promptScores(
  backend: Backend,
  config: ModelConfig,
  weights: Weights,
  images: ImageSource,
  prompts: TokenSource,
  rows: ArrayLike<number>,
  { reading = wholeReading, ...options }: ScoreOptions,
): Promise<{ readonly width: number; readonly image: Float32Array; readonly prompts: Float32Array }> {
  // What comes after a prompt says nothing of it: no more tokens are read than the longest has.
  const short: Reading = { ...reading, text: { kind: 'reduced', reducer: { kind: 'truncate' }, tokens: prompts.lengths.reduce((most, length) => Math.max(most, length), 0) } };
  const oneText = batchBuilder(config, images, prompts, 1, short);
  const texts = Array.from({ length: prompts.count }, (_, index) => structuredClone(oneText(Uint32Array.of(index))));
  // The text of this row is not looked at.
  const oneImage = batchBuilder(config, images, { ...prompts, ids: new Int32Array(images.count * prompts.context), lengths: new Uint16Array(images.count).fill(2) }, 1, short);
  let last = { index: -1, part: texts[0]! };
  const imageOf = (index: number): Batch => {
    if (index !== last.index) last = { index, part: structuredClone(oneImage(Uint32Array.of(rows[index]!))) };
    return last.part;
  };
  const image = await scoreTable(captionScorer(backend, config, weights, options.batch, short), rows.length, imageOf, texts, options);
  return { width: prompts.count, image, prompts: picking(prompts.count) };
}

/** Unit vectors `[count, count]`, each of which picks one of a row of scores. */
function picking(count: number): Float32Array {
  const unit = new Float32Array(count * count);
  for (let index = 0; index < count; index++) unit[index * (count + 1)] = 1;
  return unit;
}

/** Scores `[images, texts]`, images one after the other; lets the scorer go in the end. */
async function scoreTable(scorer: CaptionScorer, images: number, imageOf: (index: number) => Batch, texts: readonly Batch[], { batch, prior = 1, watch }: ScoreOptions): Promise<Float32Array> {
  const count = images * texts.length;
  const scores = new Float32Array(count);
  try {
    for (let from = 0; from < count; from += batch) {
      const pairs = Array.from({ length: batch }, (_, index) => Math.min(from + index, count - 1));
      const found = scorer.score(pairsOf(pairs.map((pair) => [imageOf(Math.floor(pair / texts.length)), texts[pair % texts.length]!])));
      pairs.forEach((pair, index) => (scores[pair] = found[index]!));
      watch?.progress?.(Math.min(images, Math.floor((from + batch) / texts.length)));
      await setImmediate();
      watch?.signal?.throwIfAborted();
    }
  } finally {
    scorer.dispose();
  }
  for (let text = 0; text < texts.length && prior !== 0; text++) {
    let max = -Infinity;
    for (let image = 0; image < images; image++) max = Math.max(max, scores[image * texts.length + text]!);
    let sum = 0;
    for (let image = 0; image < images; image++) sum += Math.exp(scores[image * texts.length + text]! - max);
    const mean = max + Math.log(sum / images);
    for (let image = 0; image < images; image++) scores[image * texts.length + text]! -= prior * mean;
  }
  return scores;
}

/** A batch of the image of one part and the caption of another, pair by pair. */
function pairsOf(pairs: readonly (readonly [image: Batch, text: Batch])[]): Batch {
  const floats = (parts: readonly Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));
  const tokens = pairs[0]![1].ids.length;
  const patches = new Float32Array(pairs.length * pairs[0]![0].patches.length);
  pairs.forEach(([image], index) => patches.set(image.patches, index * image.patches.length));
  return {
    patches,
    ids: Int32Array.from(pairs.flatMap(([, text]) => [...text.ids])),
    ends: Int32Array.from(pairs.map(([, text], index) => text.ends[0]! + index * tokens)),
    targets: Int32Array.from(pairs.flatMap(([, text]) => [...text.targets!])),
    counted: floats(pairs.map(([, text]) => text.counted!)),
  };
}

/** What the model would write next after each prefix, for the image of one row. */
export function nextOf(scorer: CaptionScorer, config: ModelConfig, images: ImageSource, tokens: TokenSource, row: number, batch: number, reading: Reading = wholeReading): Next {
  const part = structuredClone(batchBuilder(config, images, tokens, 1, reading)(Uint32Array.of(row)));
  const length = part.ids.length;
  const { vocabulary } = config.text;
  return (prefixes) => {
    if (prefixes.length > batch) throw new RangeError(`${prefixes.length} prefixes where at most ${batch} fit`);
    const filled = Array.from({ length: batch }, (_, index) => prefixes[index] ?? prefixes[0]!);
    const texts = filled.map((prefix): Batch => {
      const ids = new Int32Array(length);
      ids.set(prefix);
      return { ...part, ids, ends: Int32Array.of(prefix.length - 1) };
    });
    const found = scorer.next(pairsOf(texts.map((text) => [part, text])));
    return prefixes.map((_, index) => found.subarray(index * vocabulary, (index + 1) * vocabulary));
  };
}
