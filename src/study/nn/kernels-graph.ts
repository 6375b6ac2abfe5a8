import { graphAttention } from './attention-graph.ts';
import type { Precision } from './compiled-step.ts';
import { attribute } from './graph-def.ts';
import type { Attribute } from './graph-def.ts';
import { graphTensor } from './graph-builder.ts';
import type { GraphBuilder, GraphTensor } from './graph-builder.ts';
import type { Kernels, Tensor, Values } from './kernels.ts';
import { elements } from './kernels.ts';

const T = attribute.type('float32');
const I = attribute.type('int32');

/**
 * The gradient of a weight sums over many rows. Of 1,024 by 256 columns oneDNN reaches 40 GFLOP/s where it has 75 of 2,048 by 512
 * and of 3,072 by 768: rows 4 KiB apart fall into few sets of the cache. Copied to blocks of 256 columns first it has 60, the
 * copies included; the wider ones lose by that.
 */
const wideColumns = 1024;
const columnsOfBlock = 256;
const manyRows = 256;

/** The operations as nodes of a TensorFlow graph. Shapes are worked out here, so that a mistake is found while recording. */
export function graphKernels(graph: GraphBuilder, precision: Precision = 'float32'): Kernels {
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

  const scale = (x: Tensor, factor: number): GraphTensor => (factor === 1 ? graphTensor(x) : multiply(x, scalar(factor)));
  const constant = (values: Values, shape: readonly number[]): GraphTensor => graph.constant(values, shape);
  const after = (x: Tensor, earlier: Tensor): GraphTensor =>
    graph.operation('Identity', [x, `^${graphTensor(earlier).reference}`], { T }, x.shape);

  /** Under bfloat16 the factors are rounded to it and the sums come back as float32. */
  const product = (
    operation: string,
    a: Tensor,
    b: Tensor,
    flags: Readonly<Record<string, Attribute>>,
    shape: readonly number[],
  ): GraphTensor => {
    if (precision === 'float32') return graph.operation(operation, [a, b], { T, ...flags }, shape);
    const half = attribute.type('bfloat16');
    const narrow = (x: Tensor): string => {
      const known = narrowed.get(x);
      if (known !== undefined) return known;
      const { reference } = graph.operation('Cast', [x], { SrcT: T, DstT: half }, x.shape);
      narrowed.set(x, reference);
      return reference;
    };
    const { reference } = graph.operation(operation, [narrow(a), narrow(b)], { T: half, ...flags }, shape);
    return graph.operation('Cast', [reference], { SrcT: half, DstT: T }, shape);
  };
  const narrowed = new Map<Tensor, string>();

  const matMul = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): GraphTensor => {
    const [m, k] = transposeA ? [a.shape[1]!, a.shape[0]!] : [a.shape[0]!, a.shape[1]!];
    const [other, n] = transposeB ? [b.shape[1]!, b.shape[0]!] : [b.shape[0]!, b.shape[1]!];
    if (k !== other) throw mismatch('matMul', a.shape, b.shape);
    if (transposeA && !transposeB && precision === 'float32' && k >= manyRows) {
      // Columns of one factor become rows of the product, those of the other its columns.
      if (n === wideColumns && m <= columnsOfBlock) return concat(columnBlocks(b).map((block) => matMul(a, block, true)), 1);
      if (m === wideColumns && n <= columnsOfBlock) return concat(columnBlocks(a).map((block) => matMul(block, b, true)), 0);
    }
    const flags = { transpose_a: attribute.bool(transposeA), transpose_b: attribute.bool(transposeB) };
    return product('MatMul', a, b, flags, [m, n]);
  };
  const columnBlocks = (x: Tensor): readonly GraphTensor[] => {
    const [rows, columns] = x.shape as [number, number];
    return Array.from({ length: columns / columnsOfBlock }, (_, index) => slice(x, [0, index * columnsOfBlock], [rows, columnsOfBlock]));
  };
  const products = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): GraphTensor => {
    const rank = a.shape.length;
    const m = a.shape[transposeA ? rank - 1 : rank - 2]!;
    const n = b.shape[transposeB ? rank - 2 : rank - 1]!;
    const flags = { adj_x: attribute.bool(transposeA), adj_y: attribute.bool(transposeB) };
    return product('BatchMatMulV2', a, b, flags, [...a.shape.slice(0, rank - 2), m, n]);
  };
  const slice = (x: Tensor, begin: readonly number[], size: readonly number[]): GraphTensor =>
    graph.operation('Slice', [x, integers(...begin), integers(...size)], { T, Index: I }, size);
  const concat = (parts: readonly Tensor[], axis: number): GraphTensor => {
    // TensorFlow's takes two or more.
    if (parts.length === 1) return graphTensor(parts[0]!);
    const shape = parts[0]!.shape.map((length, index) =>
      index === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : length,
    );
    return graph.operation('ConcatV2', [...parts, integer(axis)], { N: attribute.int(parts.length), T, Tidx: I }, shape);
  };

  return {
    constant,
    matMul,
    add,
    subtract,
    multiply,
    divide: binary('RealDiv'),
    scale,
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
    // L2Loss is half of it, in one pass and without a tensor of the squares.
    totalSquares: (x) => scale(graph.operation('L2Loss', [x], { T }, []), 2),
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

    after,
    scope: (body) => body(),
    ...graphAttention(graph, { add, subtract, multiply, scale, reshape, slice, concat, constant, after, permute, softmax, sumLast, products }),
  };
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

