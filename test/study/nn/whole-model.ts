import type { Backend } from '../../../src/study/nn/backend.ts';
import { batchBuilder } from '../../../src/study/nn/batches.ts';
import type { TokenSource } from '../../../src/study/nn/batches.ts';
import type { ModelConfig } from '../../../src/study/nn/model-config.ts';
import { defaultOptimiser, firstMoment } from '../../../src/study/nn/optimiser.ts';
import { initialWeights, type Parameter, parametersOf } from '../../../src/study/nn/parameters.ts';
import type { Reading } from '../../../src/study/nn/reading.ts';
import { randomOf } from '../../../src/study/data/random.ts';
import { trainStep } from '../../../src/study/nn/train-step.ts';
import { tinyData } from './rig.ts';

/** The tiny captions, with what reducers need: five words of one token, of all classes, in two sentences. */
export function readableTokens(): TokenSource {
  const { tokens } = tinyData();
  const { count, context } = tokens;
  const places = (of: (place: number) => number): number[] => Array.from({ length: count * context }, (_, index) => of((index % context) - 1));
  const reducible = {
    words: Uint16Array.from(places((place) => Math.max(0, place))),
    classes: Uint8Array.from(places((place) => 1 + (Math.max(0, place) % 4))),
    sentences: Uint8Array.from(places((place) => (place < 3 ? 0 : 1))),
    frequencies: Float32Array.from(places(() => 0.1)),
    first: { ids: tokens.ids, lengths: new Uint16Array(count).fill(6), characters: 77, context },
  };
  return { ...tokens, reducible };
}

/** Adapters begin as no change, so that most of their weights have no gradient at first: as they are once they have been trained. */
export const afterTraining = (parameters: readonly Parameter[]): Parameter[] =>
  parameters.map((parameter) => (parameter.part === 'adapters' && parameter.initial.kind !== 'normal' ? { ...parameter, initial: { kind: 'normal', deviation: 0.1 } } : parameter));

/**
 * How far the gradient of the loss along a drawn direction is from the difference quotient along it, relative to the gradient's norm,
 * which is what it is along such directions; `only` names the weights that move. The gradient is what Adam's first moment holds after one step.
 */
export function directionalError(backend: Backend, config: ModelConfig, reading: Reading, data = { ...tinyData(), tokens: readableTokens() }, only = /./): number {
  const parameters = parametersOf(config);
  const start = initialWeights(afterTraining(parameters), 3);
  // A scale at which losses are smooth.
  if (start.has('logit_scale')) start.set('logit_scale', Float32Array.of(1));
  const batch = batchBuilder(config, data.images, data.tokens, 6, reading)(Uint32Array.of(0, 1, 2, 3, 4, 5));
  const step = trainStep(backend, config, 6, { ...defaultOptimiser, beta1: 0, weightDecay: 0 }, start, { reading });
  const random = randomOf('direction');
  const trained = parameters.filter(({ name, frozen = false }) => !frozen && only.test(name)).map(({ name }) => name);
  const direction = new Map(trained.map((name) => [name, start.get(name)!.map(() => random.normal())]));
  const lossAt = (shift: number): number => {
    step.restore(new Map(trained.map((name) => [name, start.get(name)!.map((value, i) => value + shift * direction.get(name)![i]!)])));
    return step.update(batch, 1, 0).loss;
  };
  lossAt(0);
  const state = step.state();
  let [slope, squares] = [0, 0];
  for (const [name, along] of direction) {
    state.get(firstMoment(name))!.forEach((value, i) => {
      slope += value * along[i]!;
      squares += value * value;
    });
  }
  // The same way along the drawn direction however many weights there are: shorter drowns in rounding, longer bends.
  const delta = 0.04 / Math.sqrt([...direction.values()].reduce((sum, { length }) => sum + length, 0));
  const difference = (8 * (lossAt(delta) - lossAt(-delta)) - (lossAt(2 * delta) - lossAt(-2 * delta))) / (12 * delta);
  step.dispose();
  return Math.abs(slope - difference) / Math.sqrt(squares);
}
