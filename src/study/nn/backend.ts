import type { CompiledStep, FeedShape, Program, ProgramFunction, StepFunction, StepOptions } from './compiled-step.ts';

export type BackendName = 'tensorflow' | 'wasm' | 'cpu';
export type BackendChoice = BackendName | 'auto';

/** Where tensors live and steps run: the one seam between models and the libraries that compute. */
export interface Backend {
  readonly name: BackendName;
  /** Name and version for people, for example `wasm 4.22.0`. */
  readonly label: string;
  readonly threads: number;
  /** The device, for example `cpu` or `gpu 0 NVIDIA H200`. */
  readonly device: string;
  /**
   * Makes a step of `run`, with feeds of fixed shapes and state of its own. Native TensorFlow writes it down as a graph
   * once and then runs that; the others compute it anew at each call.
   */
  compileStep(run: StepFunction, feeds: Readonly<Record<string, FeedShape>>, options: StepOptions): CompiledStep;
  /** Makes several functions over the same state, each as compileStep makes one. */
  compileProgram(functions: Readonly<Record<string, ProgramFunction>>, options: StepOptions): Program;
}

/** compileStep in terms of compileProgram. */
export function stepOf(program: Program): CompiledStep {
  return { ...program, call: (feeds) => program.call('step', feeds) };
}
