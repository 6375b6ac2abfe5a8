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
    return this.gradientsFrom(new Map([[output, seed]]), sources);
  }

  /** The same for several outputs, each with the gradient that comes to it from elsewhere. */
  gradientsFrom(seeds: ReadonlyMap<Tensor, Tensor>, sources: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
    const { kernels } = this;
    const gradients = new Map<Tensor, Tensor>(seeds);
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

/** Notes which tensors of another tape flow into it, and nothing else. */
class Probe extends Tape {
  readonly used = new Set<Tensor>();
  readonly #outer: Tape;

  constructor(outer: Tape) {
    super(outer.kernels);
    this.#outer = outer;
  }

  override tracks(tensor: Tensor): boolean {
    return this.#outer.tracks(tensor);
  }

  override record(inputs: readonly Tensor[], output: Tensor, _backward: Backward): Tensor {
    for (const input of inputs) if (this.#outer.tracks(input)) this.used.add(input);
    return output;
  }
}

/**
 * Gradient checkpointing (Chen et al., 2016): keeps nothing of what `body` computes but its result, and computes it again
 * when its gradient is asked for. Tensors that the body takes from outside, its weights, get their gradients as ever.
 */
export function recomputed(tape: Tape, x: Tensor, body: (tape: Tape, x: Tensor) => Tensor): Tensor {
  const { kernels } = tape;
  const probe = new Probe(tape);
  const [output] = kernels.scope(() => [body(probe, x)]);
  const others = [...probe.used].filter((tensor) => tensor !== x);
  return tape.record([x, ...others], output!, (dy) =>
    kernels.scope(() => {
      const inner = new Tape(kernels);
      const again = inner.watch(kernels.after(x, dy));
      const sources = new Map<string, Tensor>([['x', again]]);
      others.forEach((tensor, index) => sources.set(String(index), inner.watch(tensor)));
      return [...inner.gradients(body(inner, again), dy, sources).values()];
    }),
  );
}
