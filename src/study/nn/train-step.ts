import { batchFeeds, imageFeeds, textFeeds } from './batch.ts';
import type { Batch, Feeds } from './batch.ts';
import { embedImages, embedTexts } from './clip.ts';
import type { FeedShape, Precision, ProgramFunction, StateEntry, StepFunction } from './compiled-step.ts';
import { contrastiveInBlocks } from './contrastive-blocks.ts';
import type { Backend } from './backend.ts';
import { auxiliaryLoss } from './auxiliary.ts';
import { scaled, shifted } from './adapter-layers.ts';
import { decode } from './decoder.ts';
import { tokenLosses, weightedTotal } from './decoder-layers.ts';
import type { Kernels, StepState, Tensor } from './kernels.ts';
import { embeddingsOf, forward } from './embed-step.ts';
import type { BatchEmbeddings } from './embed-step.ts';
import { add, contrastiveLoss } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { applyGradients, firstMoment, secondMoment } from './optimiser.ts';
import type { OptimiserSettings } from './optimiser.ts';
import type { Parameter } from './parameters.ts';
import { parametersOf } from './parameters.ts';
import { wholeReading } from './reading.ts';
import type { Reading } from './reading.ts';
import type { BatchStatistics } from './resnet-layers.ts';
import { Tape } from './tape.ts';

/** Names of what a step keeps of a weight: its own, and those of its moments if it is trained. */
export const stateNames = ({ name, frozen = false }: Pick<Parameter, 'name' | 'frozen'>): readonly string[] =>
  frozen ? [name] : [name, firstMoment(name), secondMoment(name)];

function stateEntries(parameters: readonly Parameter[], state: ReadonlyMap<string, Float32Array>): Map<string, StateEntry> {
  const missing = parameters.find(({ name }) => !state.has(name));
  if (missing !== undefined) throw new TypeError(`the step is given no value of the weight ${missing.name}`);
  return new Map(
    parameters.flatMap((parameter) => stateNames(parameter).map((entry) => [entry, { shape: parameter.shape, values: state.get(entry) ?? null }] as const)),
  );
}

export interface TrainStepOptions {
  /**
   * Pairs whose activations are held at once (GradCache; Gao et al., 2021): every pair of the batch still counts as a
   * negative of every other, the embeddings are computed first, and each chunk's activations anew when its gradient is due.
   * Must divide the batch, or its accumulated part.
   */
  readonly chunk?: number | null;
  /** Cuts the batch into so many parts that are contrasted within themselves; their gradients are averaged. */
  readonly accumulate?: number;
  /** Keep only what goes into each transformer block, and compute its inside again for the gradient. */
  readonly checkpointBlocks?: boolean;
  /** The gradient is computed of the loss times this and divided by it afterwards, for precisions of little range. */
  readonly lossScale?: number;
  readonly precision?: Precision;
  readonly xla?: boolean;
  /** How much of each pair is read; left out: everything. */
  readonly reading?: Reading;
  /** Batches that are only embedded, so that weights need not leave the backend to be validated. */
  readonly validation?: { readonly batch: number; readonly reading: Reading };
}

/** A batch, or its part number `part`, from 0; a part may be asked for twice and must be the same. */
export type BatchParts = Batch | ((part: number) => Batch);

export interface TrainStep {
  /** Pairs that a part of a batch has, and how many parts. */
  readonly partSize: number;
  readonly parts: number;
  /** Numbers of the parts in the order in which an update asks for them; each chunk of several is asked for twice. */
  readonly partOrder: readonly number[];
  /** One update at `learningRate`; `step` counts from 1. Gives the loss before it, in nats, and the gradient's global norm. */
  update(batch: BatchParts, step: number, learningRate: number): { loss: number; gradientNorm: number };
  /** Weights and moments. */
  state(): Map<string, Float32Array>;
  weights(): Map<string, Float32Array>;
  logitScale(): number;
  /** Embeddings under the weights as they are, of a batch as `validation` asked for; a TypeError if it did not. */
  validate(batch: Batch): BatchEmbeddings;
  /** Replaces weights and moments; weights left out stay, moments left out are zero from then on. */
  restore(state: ReadonlyMap<string, Float32Array>): void;
  dispose(): void;
}

const scalar: FeedShape = { shape: [], dtype: 'float32' };
const rates = { learning_rate: scalar, beta1_power: scalar, beta2_power: scalar };
const accumulated = (name: string): string => `gradient/${name}`;
/** Rows of logits that the large-batch loss holds at once. */
const lossRows = 256;

/** What norms keep of a batch, a tenth at a time, as PyTorch's do. */
function keepStatistics(kernels: Kernels, access: StepState, statistics: BatchStatistics): void {
  for (const [name, { mean, variance }] of statistics) {
    for (const [what, value] of [['mean', mean], ['variance', variance]] as const) {
      const key = `${name}.${what}`;
      access.assign(key, kernels.add(kernels.scale(access.read(key), 0.9), kernels.scale(value, 0.1)));
    }
  }
}

/**
 * Forward pass, symmetric InfoNCE, gradients, clipping and the update of a two-tower CLIP as steps on `backend`.
 * @param state weights, and moments where there are any; those left out begin at zero
 */
export function trainStep(
  backend: Backend,
  config: ModelConfig,
  batch: number,
  optimiser: OptimiserSettings,
  state: ReadonlyMap<string, Float32Array>,
  options: TrainStepOptions = {},
): TrainStep {
  const { accumulate = 1, checkpointBlocks = false, lossScale = 1, reading = wholeReading } = options;
  const contrasted = batch / accumulate;
  const partSize = Math.min(options.chunk ?? contrasted, contrasted);
  if (!Number.isInteger(contrasted) || contrasted < 2) throw new RangeError(`a batch of ${batch} cannot be accumulated from ${accumulate} parts of at least 2 pairs`);
  if (contrasted % partSize !== 0) throw new RangeError(`chunks of ${partSize} pairs do not fill ${contrasted} pairs`);
  const chunks = contrasted / partSize;
  if (config.image.resnet !== undefined && chunks > 1) throw new RangeError('a ResNet normalises over the whole batch: leave chunk out');
  if (config.auxiliary !== undefined && chunks > 1) throw new RangeError('an auxiliary loss is of whole batches: leave chunk out');
  if (config.decoder !== undefined && chunks > 1) throw new RangeError('a decoder is trained on whole batches: leave chunk out');
  const parameters = parametersOf(config);
  const trained = parameters.filter(({ frozen = false }) => !frozen);
  const towers = { checkpoint: checkpointBlocks, reading };
  const watched = (tape: Tape, access: StepState): Map<string, Tensor> =>
    new Map(parameters.map(({ name, frozen = false }) => [name, frozen ? access.read(name) : tape.watch(access.read(name))]));
  const sourcesOf = (weights: ReadonlyMap<string, Tensor>): Map<string, Tensor> => new Map(trained.map(({ name }) => [name, weights.get(name)!]));
  const embed = (tape: Tape, weights: ReadonlyMap<string, Tensor>, feeds: Readonly<Record<string, Tensor>>, statistics: BatchStatistics | null = null): { image: Tensor; text: Tensor } => {
    const weight = (name: string): Tensor => weights.get(name)!;
    return {
      image: embedImages(tape, weight, config, imageFeeds(feeds), partSize, { ...towers, statistics }),
      text: embedTexts(tape, weight, config, textFeeds(feeds), partSize, towers),
    };
  };
  const shift = Math.log(config.logitFactor ?? 1);
  const contrast = (tape: Tape, weights: ReadonlyMap<string, Tensor>, { image, text }: { image: Tensor; text: Tensor }): Tensor =>
    contrastiveLoss(tape, image, text, shifted(tape, weights.get('logit_scale')!, shift));
  /** The mean loss of next tokens, and beside it that of contrast, each by its weight. */
  const captioning = (tape: Tape, weights: ReadonlyMap<string, Tensor>, feeds: Feeds): Tensor => {
    const weight = (name: string): Tensor => weights.get(name)!;
    const { contrast: own, caption } = config.decoder!;
    const { hidden, image, text } = decode(tape, weight, config, { image: imageFeeds(feeds), text: textFeeds(feeds) }, partSize, towers);
    const counted = feeds['counted']!;
    const shares = tape.kernels.divide(counted, tape.kernels.total(counted));
    const loss = scaled(tape, weightedTotal(tape, tokenLosses(tape, hidden, weight('text.embedding'), feeds['targets']!), shares), caption);
    return image === undefined || text === undefined ? loss : add(tape, loss, scaled(tape, contrast(tape, weights, { image, text }), own));
  };
  const besides = (tape: Tape, weights: ReadonlyMap<string, Tensor>, feeds: Feeds): Tensor => {
    const { masked, targets, counted, hidden } = feeds;
    const all = { image: imageFeeds(feeds), text: textFeeds(feeds), masked, targets, counted, hidden };
    return auxiliaryLoss(tape, (name) => weights.get(name)!, config, all, partSize, towers);
  };
  const lossAndGradients = (kernels: Kernels, feeds: Readonly<Record<string, Tensor>>, access: StepState): { loss: Tensor; gradients: Map<string, Tensor> } => {
    const tape = new Tape(kernels);
    const weights = watched(tape, access);
    const statistics: BatchStatistics | null = config.image.resnet === undefined ? null : new Map();
    const own = config.decoder === undefined ? contrast(tape, weights, embed(tape, weights, feeds, statistics)) : captioning(tape, weights, feeds);
    const loss = config.auxiliary === undefined ? own : add(tape, own, scaled(tape, besides(tape, weights, feeds), config.auxiliary.weight));
    if (statistics !== null) keepStatistics(kernels, access, statistics);
    return { loss, gradients: tape.gradients(loss, kernels.constant(Float32Array.of(lossScale), []), sourcesOf(weights)) };
  };
  const share = 1 / accumulate;
  const gatherUp = (kernels: Kernels, access: StepState, name: string, gradient: Tensor): void =>
    access.accumulate(accumulated(name), kernels.scale(gradient, share));

  const update: StepFunction = (kernels, feeds, access) => {
    const { loss, gradients } = lossAndGradients(kernels, feeds, access);
    return { loss, gradient_norm: applyGradients(kernels, access, trained, gradients, feeds, optimiser, lossScale) };
  };
  const gradient: StepFunction = (kernels, feeds, access) => {
    const { loss, gradients } = lossAndGradients(kernels, feeds, access);
    for (const [name, value] of gradients) gatherUp(kernels, access, name, value);
    return { loss };
  };
  const apply: StepFunction = (kernels, feeds, access) => {
    const gradients = new Map(trained.map(({ name }) => [name, access.read(accumulated(name))]));
    const norm = applyGradients(kernels, access, trained, gradients, feeds, optimiser, lossScale);
    for (const [name, value] of gradients) access.assign(accumulated(name), kernels.scale(value, 0));
    return { gradient_norm: norm };
  };
  const embedPart: StepFunction = (kernels, feeds, access) =>
    embed(new Tape(kernels), new Map(parameters.map(({ name }) => [name, access.read(name)])), feeds);
  const loss: StepFunction = (kernels, feeds, access) => {
    const results = contrastiveInBlocks(kernels, feeds['image']!, feeds['text']!, shift === 0 ? access.read('logit_scale') : kernels.shift(access.read('logit_scale'), shift), Math.min(lossRows, contrasted));
    if (trained.some(({ name }) => name === 'logit_scale')) gatherUp(kernels, access, 'logit_scale', kernels.scale(results.logScale, lossScale));
    return { loss: results.loss, image: results.image, text: results.text };
  };
  const backward: StepFunction = (kernels, feeds, access) => {
    const tape = new Tape(kernels);
    const weights = watched(tape, access);
    const { image, text } = embed(tape, weights, feeds);
    const seeds = new Map([[image, kernels.scale(feeds['d_image']!, lossScale)], [text, kernels.scale(feeds['d_text']!, lossScale)]]);
    const sources = sourcesOf(weights);
    sources.delete('logit_scale');
    for (const [name, value] of tape.gradientsFrom(seeds, sources)) gatherUp(kernels, access, name, value);
    return { done: kernels.constant(Float32Array.of(0), []) };
  };

  const part = batchFeeds(config, partSize, reading);
  const embeddings = (count: number): FeedShape => ({ shape: [count, config.embedding], dtype: 'float32' });
  const functions: Record<string, ProgramFunction> =
    accumulate === 1 && chunks === 1
      ? { update: { run: update, feeds: { ...part, ...rates } } }
      : chunks === 1
        ? { gradient: { run: gradient, feeds: part }, apply: { run: apply, feeds: rates } }
        : {
            embed: { run: embedPart, feeds: part },
            loss: { run: loss, feeds: { image: embeddings(contrasted), text: embeddings(contrasted) } },
            backward: { run: backward, feeds: { ...part, d_image: embeddings(partSize), d_text: embeddings(partSize) } },
            apply: { run: apply, feeds: rates },
          };
  const names = parameters.map(({ name }) => name);
  const moments = trained.flatMap(({ name }) => [firstMoment(name), secondMoment(name)]);
  const sums = 'update' in functions ? [] : trained.map(({ name }) => accumulated(name));
  if (options.validation !== undefined) {
    const { batch: pool, reading: held } = options.validation;
    functions['validate'] = { run: (kernels, feeds, access) => forward(config, pool, held)(kernels, feeds, (name) => access.read(name)), feeds: batchFeeds(config, pool, held) };
  }
  const entries = stateEntries(parameters, state);
  if (sums.length > 0) for (const { name, shape } of trained) entries.set(accumulated(name), { shape, values: null });
  const program = backend.compileProgram(functions, {
    state: entries,
    ...(options.precision === undefined ? {} : { precision: options.precision }),
    ...(options.xla === undefined ? {} : { xla: options.xla }),
  });

  /** Gradients of one contrasted part of the batch, added up; its chunks begin at number `from`. */
  const gather = (partOf: (index: number) => Batch, from: number): number => {
    if (chunks === 1) return program.call('gradient', { ...partOf(from) })['loss']![0]!;
    const width = config.embedding;
    const image = new Float32Array(contrasted * width);
    const text = new Float32Array(contrasted * width);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const results = program.call('embed', { ...partOf(from + chunk) });
      image.set(results['image']!, chunk * partSize * width);
      text.set(results['text']!, chunk * partSize * width);
    }
    const results = program.call('loss', { image, text });
    const rows = (values: Float32Array, chunk: number): Float32Array => values.subarray(chunk * partSize * width, (chunk + 1) * partSize * width);
    for (let chunk = 0; chunk < chunks; chunk++) {
      program.call('backward', {
        ...partOf(from + chunk),
        d_image: rows(results['image']!, chunk),
        d_text: rows(results['text']!, chunk),
      });
    }
    return results['loss']![0]!;
  };

  return {
    partSize,
    parts: accumulate * chunks,
    partOrder: Array.from({ length: accumulate }, (_, group) => Array.from({ length: chunks }, (__, chunk) => group * chunks + chunk)).flatMap((group) =>
      chunks === 1 ? group : [...group, ...group],
    ),
    update(data, step, learningRate) {
      const scalars = {
        learning_rate: Float32Array.of(learningRate),
        beta1_power: Float32Array.of(optimiser.beta1 ** step),
        beta2_power: Float32Array.of(optimiser.beta2 ** step),
      };
      const partOf = typeof data === 'function' ? data : (): Batch => data;
      if ('update' in functions) {
        const outputs = program.call('update', { ...partOf(0), ...scalars });
        return { loss: outputs['loss']![0]!, gradientNorm: outputs['gradient_norm']![0]! };
      }
      if (typeof data !== 'function') throw new TypeError(`a step of ${accumulate * chunks} parts takes a function that gives them`);
      let sum = 0;
      for (let index = 0; index < accumulate; index++) sum += gather(partOf, index * chunks);
      return { loss: sum / accumulate, gradientNorm: program.call('apply', scalars)['gradient_norm']![0]! };
    },
    state: () => program.pull([...names, ...moments]),
    weights: () => program.pull(names),
    logitScale: () => Math.exp(program.pull(['logit_scale']).get('logit_scale')![0]!),
    validate: (data) => embeddingsOf(program.call('validate', { ...data })),
    restore(values) {
      program.push(new Map([...values, ...[...moments, ...sums].flatMap((name) => (values.has(name) ? [] : [[name, null] as const]))]));
    },
    dispose: () => program.dispose(),
  };
}
