import type { Kernels, Tensor } from './kernels.ts';

/** Gradients with regard to each input, in order; null where none is wanted or there is none. */
export type Backward = (dy: Tensor) => readonly (Tensor | null)[];

interface Entry {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  readonly backward: Backward;
}

/**
 * What was computed, in order, so that gradients can be followed back. Layers carry their gradients explicitly; the
 * tape only strings them together. Tensors that no watched tensor flows into cost nothing on the way back.
 */
export class Tape {
  readonly kernels: Kernels;
  readonly #entries: Entry[] = [];
  readonly #tracked = new Set<Tensor>();

  constructor(kernels: Kernels) {
    this.kernels = kernels;
  }

  /** Asks for gradients with regard to `tensor`. */
  watch(tensor: Tensor): Tensor {
    this.#tracked.add(tensor);
    return tensor;
  }

  tracks(tensor: Tensor): boolean {
    return this.#tracked.has(tensor);
  }

  /** Notes that `output` was computed from `inputs`. */
  record(inputs: readonly Tensor[], output: Tensor, backward: Backward): Tensor {
    if (inputs.some((input) => this.#tracked.has(input))) {
      this.#tracked.add(output);
      this.#entries.push({ inputs, output, backward });
    }
    return output;
  }

  /** d `output` / d each of `sources`; `seed` is the gradient of `output` itself. A source it does not reach is an error. */
  gradients(output: Tensor, seed: Tensor, sources: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const { kernels } = this;
    const gradients = new Map<Tensor, Tensor>([[output, seed]]);
    for (let index = this.#entries.length - 1; index >= 0; index--) {
      const entry = this.#entries[index]!;
      const dy = gradients.get(entry.output);
      if (dy === undefined) continue;
      entry.backward(dy).forEach((gradient, position) => {
        const input = entry.inputs[position]!;
        if (gradient === null || !this.#tracked.has(input)) return;
        const sum = gradients.get(input);
        gradients.set(input, sum === undefined ? gradient : kernels.add(sum, gradient));
      });
    }
    const result = new Map<string, Tensor>();
    for (const [name, source] of sources) {
      const gradient = gradients.get(source);
      if (gradient === undefined) throw new Error(`the loss does not depend on the parameter ${name}`);
      result.set(name, gradient);
    }
    return result;
  }
}
