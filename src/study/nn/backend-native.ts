import type { Backend } from './backend.ts';
import type { NativeInstall } from './native-install.ts';
import { stepOf } from './backend.ts';
import { recordedProgram } from './recorded-step.ts';
import { loadBinding } from './tensorflow-binding.ts';

/** Native TensorFlow through the tfjs-node addon; steps are recorded as graphs. */
export function openNativeBackend(
  install: NativeInstall,
  { threads, gpus }: { readonly threads: number; readonly gpus: readonly string[] },
): Backend {
  const { binding, threads: actual } = loadBinding(install.binding, threads, gpus);
  const onGpu = binding.isUsingGpuDevice();
  return {
    name: 'tensorflow',
    label: `tensorflow ${install.version}`,
    threads: actual,
    device: onGpu ? `gpu ${gpus.join(',')}` : 'cpu',
    compileStep: (run, feeds, options) => stepOf(recordedProgram(binding, { step: { run, feeds } }, options)),
    compileProgram: (functions, options) => recordedProgram(binding, functions, options),
  };
}
