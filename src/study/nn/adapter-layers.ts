/** Small layers that adapters and decoders are made of. */
import type { Tensor } from './kernels.ts';
import type { Tape } from './tape.ts';

export function scaled(tape: Tape, x: Tensor, factor: number): Tensor {
  const { kernels } = tape;
  return tape.record([x], kernels.scale(x, factor), (dy) => [kernels.scale(dy, factor)]);
}

export function shifted(tape: Tape, x: Tensor, term: number): Tensor {
  return term === 0 ? x : tape.record([x], tape.kernels.shift(x, term), (dy) => [dy]);
}

/** max(x, 0), with gradient 0 at 0. */
export function rectified(tape: Tape, x: Tensor): Tensor {
  const { kernels } = tape;
  const output = kernels.subtract(x, kernels.minimum(x, 0));
  return tape.record([x], output, (dy) => {
    // 1 where x is above 0, else 0.
    const open = kernels.multiply(output, kernels.rsqrt(kernels.shift(kernels.square(x), 1e-24)));
    return [kernels.multiply(dy, open)];
  });
}

/** Columns `from` to `from + count` of `x [rows, width]`. */
export function columns(tape: Tape, x: Tensor, from: number, count: number): Tensor {
  const { kernels } = tape;
  const [rows, width] = x.shape as [number, number];
  const output = kernels.slice(x, [0, from], [rows, count]);
  const zeros = (length: number): Tensor => kernels.constant(new Float32Array(rows * length), [rows, length]);
  return tape.record([x], output, (dy) => {
    const parts = [...(from > 0 ? [zeros(from)] : []), dy, ...(from + count < width ? [zeros(width - from - count)] : [])];
    return [parts.length === 1 ? dy : kernels.concat(parts, 1)];
  });
}

/** `x [rows, width]` with each row multiplied by its factor in `factors [rows, 1]`. */
export function scaledRows(tape: Tape, x: Tensor, factors: Tensor): Tensor {
  const { kernels } = tape;
  return tape.record([x, factors], kernels.multiply(x, factors), (dy) => [
    kernels.multiply(dy, factors),
    tape.tracks(factors) ? kernels.sum(kernels.multiply(dy, x), 1) : null,
  ]);
}

/** Product of rows that belong together, `[rows, 1]`. */
export function times(tape: Tape, a: Tensor, b: Tensor): Tensor {
  const { kernels } = tape;
  return tape.record([a, b], kernels.sum(kernels.multiply(a, b), 1), (dy) => [kernels.multiply(b, dy), kernels.multiply(a, dy)]);
}

/** Softmax over the columns of all parts together, `[rows, columns]`. */
export function softmaxRows(tape: Tape, parts: readonly Tensor[]): Tensor {
  const { kernels } = tape;
  const scores = parts.length === 1 ? parts[0]! : kernels.concat(parts, 1);
  const exponentials = kernels.exp(kernels.subtract(scores, kernels.max(scores, 1)));
  const output = kernels.divide(exponentials, kernels.sum(exponentials, 1));
  return tape.record(parts, output, (dy) => {
    const along = kernels.sum(kernels.multiply(dy, output), 1);
    const gradient = kernels.multiply(output, kernels.subtract(dy, along));
    if (parts.length === 1) return [gradient];
    let from = 0;
    return parts.map((part) => {
      const count = part.shape[1]!;
      from += count;
      return kernels.slice(gradient, [0, from - count], [part.shape[0]!, count]);
    });
  });
}
