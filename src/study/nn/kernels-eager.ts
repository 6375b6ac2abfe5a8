import * as tf from '@tensorflow/tfjs-core';
import { recomputes } from './attention-mask.ts';
import { attentionBackward, attentionForward } from './attention-loops.ts';
import type { AttentionShape, Kernels, Tensor, Values } from './kernels.ts';

/** Every tensor of this set is a tfjs tensor; the handles only hide it. */
const own = (tensor: Tensor): tf.Tensor => tensor as tf.Tensor;
const floats = (tensor: Tensor): Float32Array => own(tensor).dataSync<'float32'>() as Float32Array;
const keyBias = (shape: AttentionShape): Float32Array | null => (shape.keyBias === undefined ? null : floats(shape.keyBias));
const fromFloats = (values: Float32Array, shape: readonly number[]): Tensor => tf.tensor(values, [...shape], 'float32');

/**
 * The operations as plain tfjs calls that compute at once, on whichever of its backends is set. Where its wasm kernels are
 * missing (UnsortedSegmentSum) or slower than a loop (gather, batched products), loops on typed arrays take their place;
 * transposed products are 10 to 25 times slower than an explicit transpose and a plain product.
 */
export function eagerKernels(): Kernels {
  const ones = new Map<number, tf.Tensor>();
  const onesRow = (length: number): tf.Tensor => {
    let row = ones.get(length);
    if (row === undefined) ones.set(length, (row = tf.keep(tf.ones([1, length]))));
    return row;
  };
  // XNNPACK's packed right sides are kept by their data alone, so that data seen again in another shape gives nonsense.
  const rightSides = new WeakMap<object, number>();
  const rightSide = (b: tf.Tensor): tf.Tensor => {
    const columns = rightSides.get(b.dataId);
    if (columns === undefined) rightSides.set(b.dataId, b.shape[1]!);
    return columns === undefined || columns === b.shape[1] ? b : tf.add(b, 0);
  };
  const matMul = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): tf.Tensor =>
    tf.matMul(transposeA ? tf.transpose(own(a)) : own(a), rightSide(transposeB ? tf.transpose(own(b)) : own(b)));
  return {
    constant: (values: Values, shape) => tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
    matMul,
    add: (a, b) => tf.add(own(a), own(b)),
    subtract: (a, b) => tf.sub(own(a), own(b)),
    multiply: (a, b) => tf.mul(own(a), own(b)),
    divide: (a, b) => tf.div(own(a), own(b)),
    scale: (x, factor) => tf.mul(own(x), factor),
    shift: (x, term) => tf.add(own(x), term),
    minimum: (x, bound) => tf.minimum(own(x), bound),
    exp: (x) => tf.exp(own(x)),
    log: (x) => tf.log(own(x)),
    sqrt: (x) => tf.sqrt(own(x)),
    rsqrt: (x) => tf.rsqrt(own(x)),
    square: (x) => tf.mul(own(x), own(x)),
    sigmoid: (x) => tf.sigmoid(own(x)),
    sum: (x, axis) => tf.sum(own(x), axis, true),
    mean: (x, axis) => tf.mean(own(x), axis, true),
    max: (x, axis) => tf.max(own(x), axis, true),
    total: (x) => tf.sum(own(x)),
    totalSquares: (x) => tf.sum(tf.mul(own(x), own(x))),
    reshape: (x, shape) => tf.reshape(own(x), [...shape]),
    transpose: (x) => tf.transpose(own(x)),
    slice: (x, begin, size) => tf.slice(own(x), [...begin], [...size]),
    concat: (parts, axis) => tf.concat(parts.map(own), axis),
    // A bias as [1, width] is eight times quicker than [width] on wasm: only equal ranks take the vector path.
    biasAdd: (x, bias) => tf.add(own(x), tf.reshape(own(bias), [1, bias.shape[0]!])),
    // A row of ones times dy, since summing over the first axis transposes first.
    biasGradient: (dy) => tf.reshape(matMul(onesRow(dy.shape[0]!), dy), [dy.shape[1]!]),
    gatherRows(table, ids) {
      const width = table.shape[1]!;
      const [rows, order] = [floats(table), own(ids).dataSync()];
      const output = new Float32Array(order.length * width);
      for (let row = 0; row < order.length; row++) {
        const from = order[row]! * width;
        output.set(rows.subarray(from, from + width), row * width);
      }
      return fromFloats(output, [order.length, width]);
    },
    scatterRows(dy, ids, rows) {
      const width = dy.shape[1]!;
      const [gradient, order] = [floats(dy), own(ids).dataSync()];
      const output = new Float32Array(rows * width);
      for (let row = 0; row < order.length; row++) {
        const to = order[row]! * width;
        for (let c = 0; c < width; c++) output[to + c]! += gradient[row * width + c]!;
      }
      return fromFloats(output, [rows, width]);
    },
    attention(packed: Tensor, shape: AttentionShape) {
      const { output, probabilities } = attentionForward(floats(packed), shape, keyBias(shape), !recomputes(shape));
      const square = [shape.batch * shape.heads, shape.tokens, shape.tokens];
      return {
        output: fromFloats(output, [packed.shape[0]!, packed.shape[1]! / 3]),
        saved: probabilities === null ? [] : [fromFloats(probabilities, square)],
      };
    },
    attentionGradient(packed, [probabilities], dy, shape) {
      const kept = probabilities === undefined ? null : floats(probabilities);
      return fromFloats(attentionBackward(floats(packed), kept, floats(dy), shape, keyBias(shape)), packed.shape);
    },
    after: (x) => x,
    scope: (body) => tf.tidy(() => body().map(own)),
  };
}
