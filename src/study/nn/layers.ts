import type { AttentionShape, Tensor } from './kernels.ts';
import type { Tape } from './tape.ts';

/** `x [rows, in] · weight [in, out] + bias [out]`; the bias may be left out. */
export function dense(tape: Tape, x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const { kernels } = tape;
  const product = kernels.matMul(x, weight);
  const output = bias === undefined ? product : kernels.biasAdd(product, bias);
  const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
  return tape.record(inputs, output, (dy) => {
    const towardsX = tape.tracks(x) ? kernels.matMul(dy, weight, false, true) : null;
    // A frozen weight needs none.
    const gradients = [towardsX, tape.tracks(weight) ? kernels.matMul(x, dy, true, false) : null];
    return bias === undefined ? gradients : [...gradients, tape.tracks(bias) ? kernels.biasGradient(dy) : null];
  });
}

export function add(tape: Tape, a: Tensor, b: Tensor): Tensor {
  return tape.record([a, b], tape.kernels.add(a, b), (dy) => [dy, dy]);
}

/** Adds a vector `[width]` to every row of `x [rows, width]`. */
export function addVector(tape: Tape, x: Tensor, vector: Tensor): Tensor {
  const { kernels } = tape;
  return tape.record([x, vector], kernels.biasAdd(x, vector), (dy) => [dy, kernels.biasGradient(dy)]);
}

/** Layer normalisation over the last axis of `x [rows, width]` (Ba et al., 2016), epsilon 1e-5 as in CLIP. */
export function layerNorm(tape: Tape, x: Tensor, gain: Tensor, bias: Tensor): Tensor {
  const { kernels } = tape;
  const centred = kernels.subtract(x, kernels.mean(x, 1));
  const inverse = kernels.rsqrt(kernels.shift(kernels.mean(kernels.square(centred), 1), 1e-5));
  const normalised = kernels.multiply(centred, inverse);
  const row = kernels.reshape(gain, [1, gain.shape[0]!]);
  const output = kernels.biasAdd(kernels.multiply(normalised, row), bias);
  return tape.record([x, gain, bias], output, (dy) => {
    const scaled = kernels.multiply(dy, row);
    const along = kernels.mean(kernels.multiply(scaled, normalised), 1);
    const dx = kernels.multiply(
      kernels.subtract(kernels.subtract(scaled, kernels.mean(scaled, 1)), kernels.multiply(normalised, along)),
      inverse,
    );
    return [dx, kernels.biasGradient(kernels.multiply(dy, normalised)), kernels.biasGradient(dy)];
  });
}

/** x · σ(1.702 x), the activation CLIP was trained with. */
export function quickGelu(tape: Tape, x: Tensor): Tensor {
  const { kernels } = tape;
  const gate = kernels.sigmoid(kernels.scale(x, 1.702));
  const output = kernels.multiply(x, gate);
  return tape.record([x], output, (dy) => {
    // d/dx x·σ(ax) = σ + a·xσ·(1 − σ) = σ + a·(y − yσ)
    const curve = kernels.scale(kernels.subtract(output, kernels.multiply(output, gate)), 1.702);
    return [kernels.multiply(dy, kernels.add(gate, curve))];
  });
}

/** Multi-head self-attention on packed `[batch * tokens, 3 * width]`; gives `[batch * tokens, width]`. */
export function attention(tape: Tape, packed: Tensor, shape: AttentionShape): Tensor {
  const { output, saved } = tape.kernels.attention(packed, shape);
  return tape.record([packed], output, (dy) => [tape.kernels.attentionGradient(packed, saved, dy, shape)]);
}

/** Rows of `table [rows, width]` by `ids [n]`. */
export function gatherRows(tape: Tape, table: Tensor, ids: Tensor): Tensor {
  const { kernels } = tape;
  return tape.record([table, ids], kernels.gatherRows(table, ids), (dy) => [
    tape.tracks(table) ? kernels.scatterRows(dy, ids, table.shape[0]!) : null,
    null,
  ]);
}

/** Adds `positions [tokens, width]` to every sequence of `x [batch * tokens, width]`. */
export function addPositions(tape: Tape, x: Tensor, positions: Tensor, batch: number): Tensor {
  const { kernels } = tape;
  const [tokens, width] = [positions.shape[0]!, positions.shape[1]!];
  const flat = kernels.biasAdd(kernels.reshape(x, [batch, tokens * width]), kernels.reshape(positions, [tokens * width]));
  return tape.record([x, positions], kernels.reshape(flat, [batch * tokens, width]), (dy) => [
    dy,
    kernels.reshape(kernels.biasGradient(kernels.reshape(dy, [batch, tokens * width])), [tokens, width]),
  ]);
}

/** Puts the class embedding `[width]` before the patches of each image: `[batch * patches, width]` to `[batch * (patches + 1), width]`. */
export function prependClass(tape: Tape, patches: Tensor, embedding: Tensor, batch: number): Tensor {
  const { kernels } = tape;
  const width = embedding.shape[0]!;
  const length = (patches.shape[0]! / batch) * width;
  const first = kernels.biasAdd(kernels.constant(new Float32Array(batch * width), [batch, width]), embedding);
  const joined = kernels.concat([first, kernels.reshape(patches, [batch, length])], 1);
  return tape.record([patches, embedding], kernels.reshape(joined, [patches.shape[0]! + batch, width]), (dy) => {
    const flat = kernels.reshape(dy, [batch, length + width]);
    const rest = kernels.slice(flat, [0, width], [batch, length]);
    return [
      kernels.reshape(rest, [patches.shape[0]!, width]),
      kernels.biasGradient(kernels.slice(flat, [0, 0], [batch, width])),
    ];
  });
}

/** Rows of `x [n, width]` at unit length; 1e-12 under the root keeps a zero row finite. */
export function normalise(tape: Tape, x: Tensor): Tensor {
  const { kernels } = tape;
  const inverse = kernels.rsqrt(kernels.shift(kernels.sum(kernels.square(x), 1), 1e-12));
  const output = kernels.multiply(x, inverse);
  return tape.record([x], output, (dy) => {
    const along = kernels.sum(kernels.multiply(dy, output), 1);
    return [kernels.multiply(kernels.subtract(dy, kernels.multiply(output, along)), inverse)];
  });
}

/**
 * The symmetric InfoNCE loss (Radford et al., 2021), in nats: `image` and `text` are `[batch, width]` at unit length and
 * row i of one belongs to row i of the other; `logScale` is a scalar.
 */
export function contrastiveLoss(tape: Tape, image: Tensor, text: Tensor, logScale: Tensor): Tensor {
  const { kernels } = tape;
  const batch = image.shape[0]!;
  const scale = kernels.exp(logScale);
  const logits = kernels.multiply(kernels.matMul(image, text, false, true), scale);
  const rows = logSoftmaxParts(tape, logits);
  const columns = logSoftmaxParts(tape, kernels.transpose(logits));
  const diagonal = kernels.multiply(kernels.sum(kernels.multiply(image, text), 1), scale);
  const both = kernels.add(rows.logSum, columns.logSum);
  const loss = kernels.scale(kernels.total(kernels.subtract(both, kernels.scale(diagonal, 2))), 1 / (2 * batch));
  return tape.record([image, text, logScale], loss, (dy) => {
    const eye = new Float32Array(batch * batch);
    for (let index = 0; index < batch; index++) eye[index * (batch + 1)] = 2;
    const sum = kernels.add(rows.softmax, kernels.transpose(columns.softmax));
    const plain = kernels.subtract(sum, kernels.constant(eye, [batch, batch]));
    const gradient = kernels.multiply(kernels.scale(plain, 1 / (2 * batch)), dy);
    const scaled = kernels.multiply(gradient, scale);
    return [
      kernels.matMul(scaled, text),
      kernels.matMul(scaled, image, true, false),
      kernels.total(kernels.multiply(gradient, logits)),
    ];
  });
}

/** Softmax over the last axis and the log of its denominator, `[rows, 1]`, both safe for logits up to 100. */
function logSoftmaxParts(tape: Tape, logits: Tensor): { softmax: Tensor; logSum: Tensor } {
  const { kernels } = tape;
  const max = kernels.max(logits, 1);
  const exponentials = kernels.exp(kernels.subtract(logits, max));
  const sum = kernels.sum(exponentials, 1);
  return { softmax: kernels.divide(exponentials, sum), logSum: kernels.add(kernels.log(sum), max) };
}
