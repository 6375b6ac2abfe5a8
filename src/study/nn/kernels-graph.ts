import { attribute } from './graph-def.ts';
import type { GraphBuilder, GraphTensor } from './graph-builder.ts';
import type { AttentionShape, Kernels, Tensor } from './kernels.ts';
import { elements } from './kernels.ts';

const T = attribute.type('float32');
const I = attribute.type('int32');

/** The operations as nodes of a TensorFlow graph. Shapes are worked out here, so that a mistake is found while recording. */
export function graphKernels(graph: GraphBuilder): Kernels {
  const integers = (...values: number[]): GraphTensor => graph.constant(Int32Array.from(values), [values.length]);
  const integer = (value: number): GraphTensor => graph.constant(Int32Array.of(value), []);
  const scalar = (value: number): GraphTensor => graph.constant(Float32Array.of(value), []);
  const unary = (operation: string) => (x: Tensor): GraphTensor => graph.operation(operation, [x], { T }, x.shape);
  const binary = (operation: string) => (a: Tensor, b: Tensor): GraphTensor =>
    graph.operation(operation, [a, b], { T }, broadcast(operation, a, b));
  const reduce = (operation: string) => (x: Tensor, axis: number): GraphTensor =>
    graph.operation(
      operation,
      [x, integers(axis)],
      { T, Tidx: I, keep_dims: attribute.bool(true) },
      x.shape.map((length, index) => (index === axis ? 1 : length)),
    );
  const [multiply, add, subtract] = [binary('Mul'), binary('AddV2'), binary('Sub')];
  const minimum = binary('Minimum');
  const reshape = (x: Tensor, shape: readonly number[]): GraphTensor => {
    if (elements(shape) !== elements(x.shape)) throw mismatch('reshape', x.shape, shape);
    return graph.operation('Reshape', [x, integers(...shape)], { T, Tshape: I }, shape);
  };
  const permute = (x: Tensor, order: readonly number[]): GraphTensor =>
    graph.operation('Transpose', [x, integers(...order)], { T, Tperm: I }, order.map((axis) => x.shape[axis]!));
  const softmax = unary('Softmax');
  const sumLast = (x: Tensor): GraphTensor => reduce('Sum')(x, x.shape.length - 1);

  const matMul = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): GraphTensor => {
    const [m, k] = transposeA ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
    const [other, n] = transposeB ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
    if (k !== other) throw mismatch('matMul', a.shape, b.shape);
    const flags = { transpose_a: attribute.bool(transposeA), transpose_b: attribute.bool(transposeB) };
    return graph.operation('MatMul', [a, b], { T, ...flags }, [m, n]);
  };
  /** `[groups, m, k] · [groups, k, n]` */
  const batchMatMul = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): GraphTensor => {
    const m = a.shape[transposeA ? 2 : 1]!;
    const n = b.shape[transposeB ? 1 : 2]!;
    const flags = { adj_x: attribute.bool(transposeA), adj_y: attribute.bool(transposeB) };
    return graph.operation('BatchMatMulV2', [a, b], { T, ...flags }, [a.shape[0]!, m, n]);
  };
  const slice = (x: Tensor, begin: readonly number[], size: readonly number[]): GraphTensor =>
    graph.operation('Slice', [x, integers(...begin), integers(...size)], { T, Index: I }, size);
  const concat = (parts: readonly Tensor[], axis: number): GraphTensor => {
    const shape = parts[0]!.shape.map((length, index) =>
      index === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : length,
    );
    return graph.operation('ConcatV2', [...parts, integer(axis)], { N: attribute.int(parts.length), T, Tidx: I }, shape);
  };

  return {
    constant: (values, shape) => graph.constant(values, shape),
    matMul,
    add,
    subtract,
    multiply,
    divide: binary('RealDiv'),
    scale: (x, factor) => multiply(x, scalar(factor)),
    shift: (x, term) => add(x, scalar(term)),
    minimum: (x, bound) => minimum(x, scalar(bound)),
    exp: unary('Exp'),
    log: unary('Log'),
    sqrt: unary('Sqrt'),
    rsqrt: unary('Rsqrt'),
    square: unary('Square'),
    sigmoid: unary('Sigmoid'),
    sum: reduce('Sum'),
    mean: reduce('Mean'),
    max: reduce('Max'),
    total: (x) =>
      graph.operation('Sum', [x, integers(...x.shape.keys())], { T, Tidx: I, keep_dims: attribute.bool(false) }, []),
    reshape,
    transpose: (x) => permute(x, [1, 0]),
    slice,
    concat,
    biasAdd(x, bias) {
      if (bias.shape[0] !== x.shape[1]) throw mismatch('biasAdd', x.shape, bias.shape);
      return graph.operation('BiasAdd', [x, bias], { T }, x.shape);
    },
    biasGradient: (dy) => graph.operation('BiasAddGrad', [dy], { T }, [dy.shape[1]!]),
    gatherRows: (table, ids) =>
      graph.operation('GatherV2', [table, ids, integer(0)], { Tparams: T, Tindices: I, Taxis: I, batch_dims: attribute.int(0) }, [
        ids.shape[0]!,
        table.shape[1]!,
      ]),
    scatterRows: (dy, ids, rows) =>
      graph.operation('UnsortedSegmentSum', [dy, ids, integer(rows)], { T, Tindices: I, Tnumsegments: I }, [rows, dy.shape[1]!]),

    attention(packed: Tensor, { batch, tokens, heads, causal }: AttentionShape) {
      const width = packed.shape[1]! / 3;
      const [size, groups] = [width / heads, batch * heads];
      const parts = reshape(permute(reshape(packed, [batch, tokens, 3, heads, size]), [2, 0, 3, 1, 4]), [3 * groups, tokens, size]);
      const [q, k, v] = [0, 1, 2].map((part) => slice(parts, [part * groups, 0, 0], [groups, tokens, size]));
      let scores = multiply(batchMatMul(q!, k!, false, true), scalar(1 / Math.sqrt(size)));
      if (causal) scores = add(scores, causalMask(graph, tokens));
      const probabilities = softmax(scores);
      const mixed = reshape(batchMatMul(probabilities, v!, false, false), [batch, heads, tokens, size]);
      return {
        output: reshape(permute(mixed, [0, 2, 1, 3]), [batch * tokens, width]),
        saved: [q!, k!, v!, probabilities],
      };
    },
    attentionGradient(packed, [q, k, v, probabilities], dy, { batch, tokens, heads }) {
      const width = packed.shape[1]! / 3;
      const [size, groups] = [width / heads, batch * heads];
      const d = reshape(permute(reshape(dy, [batch, tokens, heads, size]), [0, 2, 1, 3]), [groups, tokens, size]);
      const dv = batchMatMul(probabilities!, d, true, false);
      const weighted = multiply(probabilities!, batchMatMul(d, v!, false, true));
      const along = multiply(probabilities!, sumLast(weighted));
      const ds = multiply(subtract(weighted, along), scalar(1 / Math.sqrt(size)));
      const parts = concat([batchMatMul(ds, k!, false, false), batchMatMul(ds, q!, true, false), dv], 0);
      const packedOrder = permute(reshape(parts, [3, batch, heads, tokens, size]), [1, 3, 0, 2, 4]);
      return reshape(packedOrder, [batch * tokens, 3 * width]);
    },
  };
}

/** 0 where a token may look, else a number that the softmax turns into 0; `[tokens, tokens]`. */
function causalMask(graph: GraphBuilder, tokens: number): GraphTensor {
  const values = new Float32Array(tokens * tokens);
  for (let i = 0; i < tokens; i++) for (let j = i + 1; j < tokens; j++) values[i * tokens + j] = -1e9;
  return graph.constant(values, [tokens, tokens]);
}

function broadcast(operation: string, a: Tensor, b: Tensor): readonly number[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, index) => {
    const left = a.shape[index - rank + a.shape.length] ?? 1;
    const right = b.shape[index - rank + b.shape.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw mismatch(operation, a.shape, b.shape);
    return Math.max(left, right);
  });
}

const mismatch = (operation: string, a: readonly number[], b: readonly number[]): TypeError =>
  new TypeError(`${operation} cannot take shapes [${a.join(', ')}] and [${b.join(', ')}]`);

