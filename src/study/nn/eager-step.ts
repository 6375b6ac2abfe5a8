import * as tf from '@tensorflow/tfjs-core';
import type { Program, ProgramFunction, StepOptions } from './compiled-step.ts';
import { checkFeeds, checkState, programFunction, stateEntry } from './compiled-step.ts';
import { elements } from './kernels.ts';
import type { AdamConstants, StepState, Tensor } from './kernels.ts';
import { eagerKernels } from './kernels-eager.ts';
import { verifiedRecording } from './verify-recording.ts';

const valuesOf = (tensor: Tensor): Float32Array => (tensor as tf.Tensor).dataSync<'float32'>() as Float32Array;

/** Functions that compute at every call, on the tfjs backend that is set. */
export function eagerProgram(functions: Readonly<Record<string, ProgramFunction>>, options: StepOptions): Program {
  // Recorded only to be compared: a step must not depend on the backend that runs it.
  if (options.verify !== false) verifiedRecording(functions, options);
  const { state } = options;
  const kernels = eagerKernels();
  const variables = new Map<string, tf.Tensor>();
  const read = new Set<string>();
  const retired: tf.Tensor[] = [];
  const put = (name: string, values: Float32Array | null): void => {
    const { shape } = stateEntry(state, name);
    checkState(shape, values, name);
    const old = variables.get(name);
    // What the running function has read stays whole until it ends.
    if (old !== undefined && read.has(name)) retired.push(old);
    else old?.dispose();
    // tfjs keeps a reference on the cpu backend: the step's values must not change under its caller.
    const own = values === null ? new Float32Array(elements(shape)) : Float32Array.from(values);
    variables.set(name, tf.keep(tf.tensor(own, [...shape], 'float32')));
  };
  for (const [name, { values }] of state) put(name, values);
  const access: StepState = {
    read(name) {
      read.add(name);
      return stateEntry(variables, name);
    },
    assign: (name, value) => put(name, valuesOf(value)),
    accumulate(name, term) {
      const sum = Float32Array.from(valuesOf(stateEntry(variables, name)));
      valuesOf(term).forEach((value, index) => (sum[index]! += value));
      put(name, sum);
    },
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
    call(name, given) {
      const { run, feeds } = programFunction(functions, name);
      checkFeeds(feeds, given);
      const results: Record<string, Float32Array> = {};
      try {
        tf.tidy(() => {
          const tensors: Record<string, Tensor> = {};
          for (const [feed, { shape, dtype }] of Object.entries(feeds)) tensors[feed] = tf.tensor(given[feed]!, [...shape], dtype);
          for (const [output, tensor] of Object.entries(run(kernels, tensors, access))) {
            results[output] = Float32Array.from(valuesOf(tensor));
          }
        });
      } finally {
        read.clear();
        for (const tensor of retired.splice(0)) tensor.dispose();
      }
      return results;
    },
    push(values) {
      for (const [name, array] of values) put(name, array);
    },
    pull: (names = [...state.keys()]) => new Map(names.map((name) => [name, Float32Array.from(valuesOf(stateEntry(variables, name)))])),
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
  { beta1, beta2, epsilon, weightDecay, l2 = 0, maximum }: AdamConstants,
): void {
  const step = rate / (1 - power1);
  const correction = 1 / Math.sqrt(1 - power2);
  const keep = 1 - rate * weightDecay;
  for (let index = 0; index < weight.length; index++) {
    const g = gradient[index]! + l2 * weight[index]!;
    const m = beta1 * mean[index]! + (1 - beta1) * g;
    const v = beta2 * square[index]! + (1 - beta2) * g * g;
    mean[index] = m;
    square[index] = v;
    const value = keep * weight[index]! - (step * m) / (Math.sqrt(v) * correction + epsilon);
    weight[index] = maximum !== undefined && value > maximum ? maximum : value;
  }
}
