import type { Backend } from './backend.ts';
import type { CompiledStep, FeedShape, StateEntry } from './compiled-step.ts';
import type { Kernels, Tensor, Values } from './kernels.ts';

/** A forward pass: feeds and weights in, named outputs out. What holds for a StepFunction holds for it. */
export type ForwardFunction = (
  kernels: Kernels,
  feeds: Readonly<Record<string, Tensor>>,
  weight: (name: string) => Tensor,
) => Readonly<Record<string, Tensor>>;

/** What is handed to a forward pass: values and the shape they have this time. */
export interface ShapedValues {
  readonly shape: readonly number[];
  readonly values: Values;
}

export interface CompiledForward {
  /** Runs it. Feeds of shapes not seen before are recorded first; a graph of those seen is kept. */
  call(feeds: Readonly<Record<string, ShapedValues>>): Record<string, Float32Array>;
  dispose(): void;
}

/** Signatures of shapes that are held at once, each with weights of its own; the one unused for longest goes first. */
const mostHeld = 4;

/** Makes a forward pass of `run`, with a graph a signature of shapes. For evaluation: nothing is kept for gradients. */
export function compileForward(backend: Backend, run: ForwardFunction, weights: ReadonlyMap<string, StateEntry>): CompiledForward {
  const held = new Map<string, CompiledStep>();
  const stepFor = (feeds: Readonly<Record<string, ShapedValues>>): CompiledStep => {
    const declared = Object.fromEntries(
      Object.entries(feeds).map(([name, { shape, values }]): [string, FeedShape] => [name, { shape, dtype: values instanceof Int32Array ? 'int32' : 'float32' }]),
    );
    const signature = JSON.stringify(declared);
    const step = held.get(signature) ?? backend.compileStep((kernels, given, access) => run(kernels, given, (name) => access.read(name)), declared, { state: weights });
    // Last in the map is last used.
    held.delete(signature);
    held.set(signature, step);
    for (const [oldest, unused] of held) {
      if (held.size <= mostHeld) break;
      unused.dispose();
      held.delete(oldest);
    }
    return step;
  };
  return {
    call: (feeds) => stepFor(feeds).call(Object.fromEntries(Object.entries(feeds).map(([name, { values }]) => [name, values]))),
    dispose() {
      for (const step of held.values()) step.dispose();
      held.clear();
    },
  };
}
