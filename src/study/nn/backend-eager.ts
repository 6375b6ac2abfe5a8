import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from './backend.ts';
import { BackendError } from './choose-backend.ts';
import { stepOf } from './backend.ts';
import { eagerProgram } from './eager-step.ts';

/**
 * tfjs on WebAssembly with SIMD, or in plain JavaScript. One thread: the wasm package turns its threads off under Node,
 * so two cells side by side are how two cores are used.
 */
export async function openEagerBackend(name: 'wasm' | 'cpu'): Promise<Backend> {
  if (name === 'wasm') await import('@tensorflow/tfjs-backend-wasm');
  else await import('@tensorflow/tfjs-backend-cpu');
  tf.env().set('PROD', true);
  if (!(await tf.setBackend(name))) throw new Error(`tfjs could not start its ${name} backend`);
  const compile: Backend['compileProgram'] = (functions, options) => {
    if (tf.getBackend() !== name) throw new Error(`the ${name} backend is no longer set: tfjs now computes on ${tf.getBackend()}`);
    if (options.precision === 'bfloat16' || options.xla === true) {
      const setting = options.xla === true ? 'xla: true' : 'precision: bfloat16';
      throw new BackendError(`${setting} needs native TensorFlow, and this is ${name}`, 'pipe backend install, or leave the setting out', 3);
    }
    return eagerProgram(functions, options);
  };
  return {
    name,
    label: `${name} ${tf.version_core}`,
    threads: 1,
    device: 'cpu',
    compileStep: (run, feeds, options) => stepOf(compile({ step: { run, feeds } }, options)),
    compileProgram: compile,
  };
}
