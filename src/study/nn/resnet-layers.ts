/** Convolution, pooling and normalisation over rows of pixels, `[batch * side², channels]`, out of the operations that there are. */
import { rectified } from './adapter-layers.ts';
import type { Tensor } from './kernels.ts';
import { dense, gatherRows } from './layers.ts';
import { weightedGroups } from './sequence-layers.ts';
import type { Tape } from './tape.ts';
import type { WeightOf } from './transformer.ts';

/** Mean and variance of a batch by the name of the norm, to be kept. */
export type BatchStatistics = Map<string, { readonly mean: Tensor; readonly variance: Tensor }>;

export const rectifiedRows = rectified;

/** Rows under each place of a window of `size` around each place that is kept, row `outside` where there is none. */
function windows(batch: number, side: number, size: number, stride: number, outside: number): Int32Array {
  const to = Math.ceil(side / stride);
  const reach = (size - 1) / 2;
  const rows = new Int32Array(batch * to * to * size * size);
  let at = 0;
  for (let image = 0; image < batch; image++) {
    for (let y = 0; y < to; y++) {
      for (let x = 0; x < to; x++) {
        for (let down = -reach; down <= reach; down++) {
          for (let right = -reach; right <= reach; right++) {
            const [row, column] = [y * stride + down, x * stride + right];
            const inside = row >= 0 && row < side && column >= 0 && column < side;
            rows[at++] = inside ? (image * side + row) * side + column : outside;
          }
        }
      }
    }
  }
  return rows;
}

/** A convolution without bias, padded with zeros: `weight [size² * channels, out]`, places row by row. */
export function convolve(tape: Tape, x: Tensor, weight: Tensor, { batch, side, size, stride }: { batch: number; side: number; size: 1 | 3; stride: 1 | 2 }): Tensor {
  if (size === 1) return dense(tape, x, weight);
  const { kernels } = tape;
  const [rows, channels] = x.shape as [number, number];
  const ids = windows(batch, side, size, stride, rows);
  const zero = kernels.constant(new Float32Array(channels), [1, channels]);
  const padded = tape.record([x], kernels.concat([x, zero], 0), (dy) => [kernels.slice(dy, [0, 0], [rows, channels])]);
  const gathered = gatherRows(tape, padded, kernels.constant(ids, [ids.length]));
  const flat = [ids.length / (size * size), size * size * channels];
  const columns = tape.record([gathered], kernels.reshape(gathered, flat), (dy) => [kernels.reshape(dy, gathered.shape)]);
  return dense(tape, columns, weight);
}

/** Means of 2 × 2; an odd last row or column is left out, as in PyTorch. */
export function meanPool(tape: Tape, x: Tensor, batch: number, side: number): Tensor {
  const to = Math.floor(side / 2);
  const ids = new Int32Array(batch * to * to * 4);
  let at = 0;
  for (let image = 0; image < batch; image++) {
    for (let row = 0; row < to; row++) {
      for (let column = 0; column < to; column++) {
        const first = (image * side + 2 * row) * side + 2 * column;
        for (const other of [first, first + 1, first + side, first + side + 1]) ids[at++] = other;
      }
    }
  }
  const { kernels } = tape;
  const shares = kernels.constant(new Float32Array(ids.length).fill(1 / 4), [ids.length, 1]);
  return weightedGroups(tape, gatherRows(tape, x, kernels.constant(ids, [ids.length])), shares, 4);
}

/** Batch normalisation over rows (Ioffe and Szegedy, 2015), ε 1e-5: by the batch's own statistics, or by those that were kept. */
export function batchNorm(tape: Tape, x: Tensor, weight: WeightOf, name: string, statistics: BatchStatistics | null): Tensor {
  const { kernels } = tape;
  const [gain, bias] = [weight(`${name}.gain`), weight(`${name}.bias`)];
  const channels = x.shape[1]!;
  const row = (vector: Tensor): Tensor => kernels.reshape(vector, [1, channels]);
  const mean = statistics === null ? row(weight(`${name}.mean`)) : kernels.mean(x, 0);
  const centred = kernels.subtract(x, mean);
  const variance = statistics === null ? row(weight(`${name}.variance`)) : kernels.mean(kernels.square(centred), 0);
  if (statistics !== null) statistics.set(name, { mean: kernels.reshape(mean, [channels]), variance: kernels.reshape(variance, [channels]) });
  const inverse = kernels.rsqrt(kernels.shift(variance, 1e-5));
  const normalised = kernels.multiply(centred, inverse);
  const output = kernels.biasAdd(kernels.multiply(normalised, row(gain)), bias);
  return tape.record([x, gain, bias], output, (dy) => {
    const scaled = kernels.multiply(dy, row(gain));
    const along = kernels.mean(kernels.multiply(scaled, normalised), 0);
    const inner = statistics === null ? scaled : kernels.subtract(kernels.subtract(scaled, kernels.mean(scaled, 0)), kernels.multiply(normalised, along));
    return [kernels.multiply(inner, inverse), kernels.biasGradient(kernels.multiply(dy, normalised)), kernels.biasGradient(dy)];
  });
}
