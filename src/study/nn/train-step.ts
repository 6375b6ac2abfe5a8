import { embedImages, embedTexts } from './clip.ts';
import type { CompiledStep, FeedShape, StateEntry, StepFunction } from './compiled-step.ts';
import type { Backend } from './backend.ts';
import type { Kernels, Tensor } from './kernels.ts';
import { contrastiveLoss } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { patchCount } from './model-config.ts';
import type { Parameter, Weights } from './parameters.ts';
import { parametersOf } from './parameters.ts';
import { Tape } from './tape.ts';

/** Settings of AdamW; defaults are those of CLIP's pre-training. */
export interface OptimiserSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** The gradient's global norm is brought down to this; null leaves it. */
  readonly clipNorm: number | null;
}

export const defaultOptimiser: OptimiserSettings = { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weightDecay: 0.2, clipNorm: null };

/** CLIP's bound on the learned logit scale. */
const largestLogitScale = Math.log(100);

const first = (name: string): string => `first/${name}`;
const second = (name: string): string => `second/${name}`;

/** Weights and, beside them, zero moments: the state that a training step starts from. */
export function startingState(weights: Weights): Map<string, Float32Array> {
  const state = new Map(weights);
  for (const [name, values] of weights) {
    state.set(first(name), new Float32Array(values.length));
    state.set(second(name), new Float32Array(values.length));
  }
  return state;
}

/** Only the weights of a training step's state. */
export const weightsIn = (parameters: readonly Parameter[], state: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> =>
  new Map(parameters.map(({ name }) => [name, state.get(name)!]));

function shapesOfState(parameters: readonly Parameter[], state: ReadonlyMap<string, Float32Array>): Map<string, StateEntry> {
  return new Map(
    parameters.flatMap(({ name, shape }) =>
      [name, first(name), second(name)].map((entry) => [entry, { shape, values: state.get(entry)! }] as const),
    ),
  );
}

/** One batch as the towers take it. */
export interface Batch {
  /** `[batch * patches, 3 * patch²]`, normalised. */
  readonly patches: Float32Array;
  /** `[batch * context]` */
  readonly ids: Int32Array;
  /** `[batch]`, the end tokens' rows in `ids`. */
  readonly ends: Int32Array;
}

function batchFeeds(config: ModelConfig, batch: number): Record<'patches' | 'ids' | 'ends', FeedShape> {
  return {
    patches: { shape: [batch * patchCount(config), 3 * config.image.patch ** 2], dtype: 'float32' },
    ids: { shape: [batch * config.text.context], dtype: 'int32' },
    ends: { shape: [batch], dtype: 'int32' },
  };
}

export interface TrainStep {
  /** One update at `learningRate`; `step` counts from 1. Gives the loss before it, in nats, and the gradient's global norm. */
  update(batch: Batch, step: number, learningRate: number): { loss: number; gradientNorm: number };
  state(): Map<string, Float32Array>;
  restore(state: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

/** Forward pass, symmetric InfoNCE, gradients, clipping and AdamW of a two-tower CLIP as one step on `backend`. */
export function trainStep(
  backend: Backend,
  config: ModelConfig,
  batch: number,
  optimiser: OptimiserSettings,
  state: ReadonlyMap<string, Float32Array>,
): TrainStep {
  const parameters = parametersOf(config);
  const run: StepFunction = (kernels, feeds, access) => {
    const tape = new Tape(kernels);
    const weights = new Map(parameters.map(({ name }) => [name, tape.watch(access.read(name))]));
    const weight = (name: string): Tensor => weights.get(name)!;
    const image = embedImages(tape, weight, config, feeds['patches']!, batch);
    const text = embedTexts(tape, weight, config, { ids: feeds['ids']!, ends: feeds['ends']! }, batch);
    const loss = contrastiveLoss(tape, image, text, weight('logit_scale'));
    const gradients = tape.gradients(loss, kernels.constant(Float32Array.of(1), []), weights);
    const norm = globalNorm(kernels, [...gradients.values()]);
    const factor = optimiser.clipNorm === null ? null : clipFactor(kernels, norm, optimiser.clipNorm);
    const scalars = {
      learningRate: feeds['learning_rate']!,
      beta1Power: feeds['beta1_power']!,
      beta2Power: feeds['beta2_power']!,
    };
    for (const { name, decay } of parameters) {
      const gradient = gradients.get(name)!;
      access.adamW(
        { parameter: name, first: first(name), second: second(name) },
        factor === null ? gradient : kernels.multiply(gradient, factor),
        scalars,
        {
          beta1: optimiser.beta1,
          beta2: optimiser.beta2,
          epsilon: optimiser.epsilon,
          weightDecay: decay ? optimiser.weightDecay : 0,
          ...(name === 'logit_scale' ? { maximum: largestLogitScale } : {}),
        },
      );
    }
    return { loss, gradient_norm: norm };
  };
  const scalar: FeedShape = { shape: [], dtype: 'float32' };
  const feeds = { ...batchFeeds(config, batch), learning_rate: scalar, beta1_power: scalar, beta2_power: scalar };
  const compiled: CompiledStep = backend.compileStep(run, feeds, { state: shapesOfState(parameters, state) });
  return {
    update(data, step, learningRate) {
      const outputs = compiled.call({
        ...data,
        learning_rate: Float32Array.of(learningRate),
        beta1_power: Float32Array.of(optimiser.beta1 ** step),
        beta2_power: Float32Array.of(optimiser.beta2 ** step),
      });
      return { loss: outputs['loss']![0]!, gradientNorm: outputs['gradient_norm']![0]! };
    },
    state: () => compiled.pull(),
    restore: (values) => compiled.push(values),
    dispose: () => compiled.dispose(),
  };
}

function globalNorm(kernels: Kernels, gradients: readonly Tensor[]): Tensor {
  const squares = gradients.map((gradient) => kernels.total(kernels.square(gradient)));
  return kernels.sqrt(squares.reduce((sum, square) => kernels.add(sum, square)));
}

const clipFactor = (kernels: Kernels, norm: Tensor, bound: number): Tensor =>
  kernels.minimum(kernels.divide(kernels.constant(Float32Array.of(bound), []), kernels.shift(norm, 1e-6)), 1);

export interface EmbedStep {
  /** Embeddings `[batch, embedding]` at unit length of images and of captions. */
  embed(batch: Batch): { image: Float32Array; text: Float32Array };
  restore(weights: Weights): void;
  dispose(): void;
}

/** The forward pass alone, for evaluation. */
export function embedStep(backend: Backend, config: ModelConfig, batch: number, weights: Weights): EmbedStep {
  const parameters = parametersOf(config).filter(({ name }) => name !== 'logit_scale');
  const run: StepFunction = (kernels, feeds, access) => {
    const tape = new Tape(kernels);
    const weight = (name: string): Tensor => access.read(name);
    return {
      image: embedImages(tape, weight, config, feeds['patches']!, batch),
      text: embedTexts(tape, weight, config, { ids: feeds['ids']!, ends: feeds['ends']! }, batch),
    };
  };
  const state = new Map(parameters.map(({ name, shape }) => [name, { shape, values: weights.get(name)! }]));
  const compiled = backend.compileStep(run, batchFeeds(config, batch), { state });
  return {
    embed(data) {
      const outputs = compiled.call({ ...data });
      return { image: outputs['image']!, text: outputs['text']! };
    },
    restore: (values) => compiled.push(new Map(parameters.map(({ name }) => [name, values.get(name)!]))),
    dispose: () => compiled.dispose(),
  };
}
