import { dirname, join } from 'node:path';
import type { NativeInstall } from './native-install.ts';
import { loadAddon } from './load-addon.ts';

/** What is used of the tfjs-node addon: a thin layer on TensorFlow's C API. Ids name tensors and sessions it holds. */
export interface TensorFlowBinding {
  createTensor(shape: number[], dtype: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: number[], inputNames: string, outputNames: string): { id: number; shape: number[]; dtype: number }[];
  isUsingGpuDevice(): boolean;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_Version: string;
}

let loaded: { readonly path: string; readonly threads: number; readonly binding: TensorFlowBinding } | null = null;

/**
 * Loads the addon, and with it TensorFlow: about 0.5 s. It reads its settings once, so a process has one thread count; a
 * second call gives what the first loaded.
 */
export function loadBinding(
  { binding: path, device }: Pick<NativeInstall, 'binding' | 'device'>,
  threads: number,
  gpus: readonly string[],
): { binding: TensorFlowBinding; threads: number } {
  if (loaded?.path === path) return loaded;
  if (loaded !== null) throw new Error(`another TensorFlow is loaded in this process: ${loaded.path}`);
  const count = String(threads);
  const settings: Record<string, string> = {
    TF_NUM_INTRAOP_THREADS: count,
    TF_NUM_INTEROP_THREADS: '1',
    OMP_NUM_THREADS: count,
    TF_DETERMINISTIC_OPS: '1',
    CUDA_VISIBLE_DEVICES: gpus.length === 0 ? '-1' : gpus.join(','),
  };
  for (const [name, value] of Object.entries(settings)) process.env[name] = value;
  // TensorFlow turns oneDNN's operations on by itself only where the processor has AVX-512's; they gain a quarter of a step without, too.
  if (process.arch === 'x64') process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '1';
  const loud = process.env['TF_CPP_MIN_LOG_LEVEL'] === '0';
  // Errors come out; the one for graphics processors writes one, too, where it is told to use none.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= device === 'gpu' ? '3' : '2';
  // XLA's assembler (ptxas) lies beside the library, where it does not look by itself.
  if (device === 'gpu') process.env['XLA_FLAGS'] ??= `--xla_gpu_cuda_data_dir=${join(dirname(path), 'python', 'nvidia', 'cuda_nvcc')}`;
  loaded = { path, threads, binding: loadAddon(path, { quiet: !loud }) as TensorFlowBinding };
  return loaded;
}
