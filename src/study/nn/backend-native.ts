import type { Backend } from './backend.ts';
import { installCommandOf } from './native-install.ts';
import type { NativeInstall } from './native-install.ts';
import { findNvidia } from './nvidia.ts';
import { stepOf } from './backend.ts';
import { recordedProgram } from './recorded-step.ts';
import { loadBinding } from './tensorflow-binding.ts';

interface NativeOptions {
  readonly threads: number;
  /** Ids of the graphics processors given; none keeps it on the processor. */
  readonly gpus: readonly string[];
  readonly note: (text: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Native TensorFlow through the tfjs-node addon; steps are recorded as graphs. Notes in one line why it computes on the
 * processor though graphics processors were given.
 * @throws Error when the library is not the version that was installed
 */
export function openNativeBackend(install: NativeInstall, { threads, gpus, note, env }: NativeOptions): Backend {
  const { binding, threads: actual } = loadBinding(install, threads, gpus);
  if (binding.TF_Version !== install.version) {
    throw new Error(`${install.origin} was made with TensorFlow ${install.version}, but the library there is ${binding.TF_Version}`);
  }
  const device = deviceOf(install, binding.isUsingGpuDevice(), { gpus, note, env });
  return {
    name: 'tensorflow',
    label: `tensorflow ${install.version}`,
    threads: actual,
    device,
    compileStep: (run, feeds, options) => stepOf(recordedProgram(binding, { step: { run, feeds } }, options)),
    compileProgram: (functions, options) => recordedProgram(binding, functions, options),
  };
}

/** The device by name, for example `gpu 0 NVIDIA H100 80GB HBM3`. */
function deviceOf(install: NativeInstall, onGpu: boolean, { gpus, note, env }: Omit<NativeOptions, 'threads'>): string {
  if (gpus.length === 0) return 'cpu';
  const found = findNvidia(env);
  if (onGpu) {
    const names = 'problem' in found ? [] : gpus.map((id) => found.names[Number(id)] ?? '');
    return `gpu ${gpus.map((id, index) => `${id} ${names[index] ?? ''}`.trim()).join(', ')}`;
  }
  const why =
    install.device === 'cpu'
      ? `this TensorFlow is built without CUDA (${installCommandOf('gpu')})`
      : 'problem' in found
        ? `${found.problem} (${found.mend})`
        : `TensorFlow does not find it (driver ${found.driver}; TF_CPP_MIN_LOG_LEVEL=0 shows why)`;
  note(`computing on the processor, not on GPU ${gpus.join(', ')}: ${why}`);
  return 'cpu';
}
