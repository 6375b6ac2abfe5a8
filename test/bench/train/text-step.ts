import type { Backend } from '../../../src/study/nn/backend.ts';
import { embedTexts } from '../../../src/study/nn/clip.ts';
import type { FeedShape } from '../../../src/study/nn/compiled-step.ts';
import { contrastiveLoss } from '../../../src/study/nn/layers.ts';
import type { ModelConfig } from '../../../src/study/nn/model-config.ts';
import { applyGradients, firstMoment, secondMoment } from '../../../src/study/nn/optimiser.ts';
import type { OptimiserSettings } from '../../../src/study/nn/optimiser.ts';
import { parametersOf } from '../../../src/study/nn/parameters.ts';
import { Tape } from '../../../src/study/nn/tape.ts';
import type { TrainStepOptions } from '../../../src/study/nn/train-step.ts';

const scalar: FeedShape = { shape: [], dtype: 'float32' };

/** A training step of the text tower alone, towards fixed image embeddings `[batch, embedding]`; gives the loss before it. */
export function textStep(
  backend: Backend,
  config: ModelConfig,
  batch: number,
  optimiser: OptimiserSettings,
  state: ReadonlyMap<string, Float32Array>,
  { checkpointBlocks = false, xla, precision }: TrainStepOptions,
): (feeds: { ids: Int32Array; ends: Int32Array; image: Float32Array }, step: number, learningRate: number) => number {
  const parameters = parametersOf(config).filter(({ name }) => name.startsWith('text.') || name === 'logit_scale');
  const compiled = backend.compileStep(
    (kernels, feeds, access) => {
      const tape = new Tape(kernels);
      const weights = new Map(parameters.map(({ name }) => [name, tape.watch(access.read(name))]));
      const weight = (name: string) => weights.get(name)!;
      const text = embedTexts(tape, weight, config, { ids: feeds['ids']!, ends: feeds['ends']! }, batch, { checkpoint: checkpointBlocks });
      const loss = contrastiveLoss(tape, feeds['image']!, text, weight('logit_scale'));
      const gradients = tape.gradients(loss, kernels.constant(Float32Array.of(1), []), weights);
      return { loss, gradient_norm: applyGradients(kernels, access, parameters, gradients, feeds, optimiser) };
    },
    {
      ids: { shape: [batch * config.text.context], dtype: 'int32' },
      ends: { shape: [batch], dtype: 'int32' },
      image: { shape: [batch, config.embedding], dtype: 'float32' },
      learning_rate: scalar,
      beta1_power: scalar,
      beta2_power: scalar,
    },
    {
      state: new Map(
        parameters.flatMap(({ name, shape }) => [name, firstMoment(name), secondMoment(name)].map((entry) => [entry, { shape, values: state.get(entry) ?? null }] as const)),
      ),
      ...(xla === undefined ? {} : { xla }),
      ...(precision === undefined ? {} : { precision }),
    },
  );
  return (feeds, step, learningRate) =>
    compiled.call({
      ...feeds,
      learning_rate: Float32Array.of(learningRate),
      beta1_power: Float32Array.of(optimiser.beta1 ** step),
      beta2_power: Float32Array.of(optimiser.beta2 ** step),
    })['loss']![0]!;
}
