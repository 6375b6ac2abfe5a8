/**
 * The operations that layers and their gradients are written against, once. Two sets implement them: plain tfjs calls
 * that compute at once (wasm, cpu), and one that writes nodes of a TensorFlow graph (native).
 */

export type DataType = 'float32' | 'int32';
export type Values = Float32Array | Int32Array;

/** An opaque handle. It has no values to look at: inside a step nothing may depend on what a tensor holds. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/**
 * Which keys each query may see, the same for every sequence and head: `allowed [tokens, tokens]` is 1 where query (row) sees
 * key (column), and `bias [tokens, tokens]`, where given, is added to the scores (relative positions, say; it gets no
 * gradient). Beside `causal`, both must allow a pair. Pairs that no query of a chunk sees are not computed, so banded and
 * block patterns save time, whoever wrote them down.
 */
export interface PairMask {
  readonly allowed?: Uint8Array;
  readonly bias?: Float32Array;
}

/** How packed queries, keys and values are laid out, and which keys a query sees. */
export interface AttentionShape {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  /** True: a token sees itself and what came before it. */
  readonly causal: boolean;
  /** What narrows it further; left out, every key is seen. A query that sees no key is a TypeError. */
  readonly mask?: PairMask;
  /** Added to the scores by sequence and key, `[batch, tokens]`: 0 for tokens that are there, -1e9 for padding. No gradient. */
  readonly keyBias?: Tensor;
  /**
   * What the backward pass does: `true` computes the probabilities anew, `false` keeps `batch · heads · tokens²` numbers from
   * the forward pass. Left out, contexts of 128 tokens and more recompute.
   */
  readonly recompute?: boolean;
  /** Queries whose scores are held at once; left out, it is chosen by size. */
  readonly chunk?: number;
}

export interface AttentionResult {
  /** `[batch * tokens, width]` */
  readonly output: Tensor;
  /** What the gradient needs again; its form is each set's own affair. */
  readonly saved: readonly Tensor[];
}

/** What the AdamW update of one step needs beside the gradient; scalars are feeds, since they change by step. */
export interface AdamScalars {
  readonly learningRate: Tensor;
  /** β₁ᵗ and β₂ᵗ */
  readonly beta1Power: Tensor;
  readonly beta2Power: Tensor;
}

export interface AdamConstants {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: the parameter loses learningRate · weightDecay of itself before the update (Loshchilov and Hutter, 2019). */
  readonly weightDecay: number;
  /** Coupled: l2 of the parameter is added to its gradient (Adam with L2, as PyTorch's Adam calls weight decay). */
  readonly l2?: number;
  /** Values above this are set to it after the update; the logit scale stays at or below ln 100. */
  readonly maximum?: number;
}

export interface Kernels {
  constant(values: Values, shape: readonly number[]): Tensor;
  /** `[m, k] · [k, n]`, either side transposed on request. */
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  subtract(a: Tensor, b: Tensor): Tensor;
  multiply(a: Tensor, b: Tensor): Tensor;
  divide(a: Tensor, b: Tensor): Tensor;
  scale(x: Tensor, factor: number): Tensor;
  shift(x: Tensor, term: number): Tensor;
  minimum(x: Tensor, bound: number): Tensor;
  exp(x: Tensor): Tensor;
  log(x: Tensor): Tensor;
  sqrt(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  square(x: Tensor): Tensor;
  sigmoid(x: Tensor): Tensor;
  /** Over one axis; the axis stays with length 1. */
  sum(x: Tensor, axis: number): Tensor;
  mean(x: Tensor, axis: number): Tensor;
  max(x: Tensor, axis: number): Tensor;
  /** Over everything, to a scalar. */
  total(x: Tensor): Tensor;
  /** Of the squares of everything, to a scalar. */
  totalSquares(x: Tensor): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  /** Of a matrix. */
  transpose(x: Tensor): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  concat(parts: readonly Tensor[], axis: number): Tensor;
  /** `[rows, width] + [width]`, and its gradient, the sum over rows. */
  biasAdd(x: Tensor, bias: Tensor): Tensor;
  biasGradient(dy: Tensor): Tensor;
  /** Rows of `table [rows, width]` named by `ids [n]`: `[n, width]`. */
  gatherRows(table: Tensor, ids: Tensor): Tensor;
  /** The gradient of gatherRows: `[rows, width]` with the rows of `dy [n, width]` added where `ids` points. */
  scatterRows(dy: Tensor, ids: Tensor, rows: number): Tensor;
  /** Scaled dot-product attention on packed `[batch * tokens, 3 * width]` queries, keys and values. */
  attention(packed: Tensor, shape: AttentionShape): AttentionResult;
  attentionGradient(packed: Tensor, saved: readonly Tensor[], dy: Tensor, shape: AttentionShape): Tensor;
  /** `x` itself, but not before `earlier` is there: what is recomputed for a gradient must not run in the forward pass. */
  after(x: Tensor, earlier: Tensor): Tensor;
  /** Runs `body`; of the tensors it makes, only those it gives back are kept. */
  scope(body: () => readonly Tensor[]): readonly Tensor[];
}

/** The weights and moments that live through the steps, by name. */
export interface StepState {
  read(name: string): Tensor;
  /** Replaces the value; calls after this one read it. */
  assign(name: string, value: Tensor): void;
  /** Adds to the value; calls after this one read the sum. */
  accumulate(name: string, term: Tensor): void;
  /** One AdamW update of the parameter `name` in place, with its moments `first` and `second`. */
  adamW(
    names: { readonly parameter: string; readonly first: string; readonly second: string },
    gradient: Tensor,
    scalars: AdamScalars,
    constants: AdamConstants,
  ): void;
}

export const elements = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
