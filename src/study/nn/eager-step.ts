import * as tf from '@tensorflow/tfjs-core';
import type { CompiledStep, FeedShape, StepFunction, StepOptions } from './compiled-step.ts';
import { checkFeeds, checkState, stateEntry } from './compiled-step.ts';
import type { AdamConstants, StepState, Tensor } from './kernels.ts';
import { eagerKernels } from './kernels-eager.ts';

const valuesOf = (tensor: Tensor): Float32Array => (tensor as tf.Tensor).dataSync<'float32'>() as Float32Array;

/** A step that computes at every call, on the tfjs backend that is set. */
export function eagerStep(
  run: StepFunction,
  feeds: Readonly<Record<string, FeedShape>>,
  { state }: StepOptions,
): CompiledStep {
  const kernels = eagerKernels();
  const variables = new Map<string, tf.Tensor>();
  const put = (name: string, values: Float32Array): void => {
    const { shape } = stateEntry(state, name);
    checkState(shape, values, name);
    variables.get(name)?.dispose();
    // tfjs keeps a reference on the cpu backend: the step's values must not change under its caller.
    variables.set(name, tf.keep(tf.tensor(Float32Array.from(values), [...shape], 'float32')));
  };
  for (const [name, { values }] of state) put(name, values);
  const access: StepState = {
    read: (name) => stateEntry(variables, name),
    adamW({ parameter, first, second }, gradient, scalars, constants) {
      const arrays = [parameter, first, second].map((name) => Float32Array.from(valuesOf(stateEntry(variables, name))));
      const [weight, mean, square] = arrays as [Float32Array, Float32Array, Float32Array];
      const [rate] = valuesOf(scalars.learningRate);
      const [power1] = valuesOf(scalars.beta1Power);
      const [power2] = valuesOf(scalars.beta2Power);
      adamW(weight, mean, square, valuesOf(gradient), { rate: rate!, power1: power1!, power2: power2! }, constants);
      put(parameter, weight);
      put(first, mean);
      put(second, square);
    },
  };
  return {
    call(given) {
      checkFeeds(feeds, given);
      const results: Record<string, Float32Array> = {};
      tf.tidy(() => {
        const tensors: Record<string, Tensor> = {};
        for (const [name, { shape, dtype }] of Object.entries(feeds)) tensors[name] = tf.tensor(given[name]!, [...shape], dtype);
        for (const [name, output] of Object.entries(run(kernels, tensors, access))) {
          results[name] = Float32Array.from(valuesOf(output));
        }
      });
      return results;
    },
    push(values) {
      for (const [name, array] of values) put(name, array);
    },
    pull: () => new Map([...variables].map(([name, tensor]) => [name, Float32Array.from(valuesOf(tensor))])),
    dispose() {
      for (const tensor of variables.values()) tensor.dispose();
      variables.clear();
    },
  };
}

/** One AdamW update in place; a loop costs a tenth of the twelve tfjs calls that would do the same to each weight. */
function adamW(
  weight: Float32Array,
  mean: Float32Array,
  square: Float32Array,
  gradient: Float32Array,
  { rate, power1, power2 }: { rate: number; power1: number; power2: number },
  { beta1, beta2, epsilon, weightDecay, maximum }: AdamConstants,
): void {
  const step = rate / (1 - power1);
  const correction = 1 / Math.sqrt(1 - power2);
  const keep = 1 - rate * weightDecay;
  for (let index = 0; index < weight.length; index++) {
    const g = gradient[index]!;
    const m = beta1 * mean[index]! + (1 - beta1) * g;
    const v = beta2 * square[index]! + (1 - beta2) * g * g;
    mean[index] = m;
    square[index] = v;
    const value = keep * weight[index]! - (step * m) / (Math.sqrt(v) * correction + epsilon);
    weight[index] = maximum !== undefined && value > maximum ? maximum : value;
  }
}
