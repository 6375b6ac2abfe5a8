import type { DataType, Tensor } from './kernels.ts';
import { attribute, graphNode } from './graph-def.ts';
import type { Attribute } from './graph-def.ts';
import { callerLine } from './caller-line.ts';
import { createHash } from 'node:crypto';

/** A step looked at a tensor's values while it was being recorded. */
export class ReadInStepError extends Error {
  override readonly name = 'ReadInStepError';
  readonly hint = 'return the tensor from the step and read it from what call() gives; decide on its value there, or feed it';

  constructor(method: string, tensor: GraphTensor) {
    super(
      `${method}() was called on the result of ${tensor.operation}, shape [${tensor.shape.join(', ')}], inside a step that is ` +
        `being recorded as a graph (${callerLine()}): it has no values yet, and what is decided on them would be frozen`,
    );
  }
}

/** A place in the graph: shape and type are known, values are not. */
export class GraphTensor implements Tensor {
  readonly shape: readonly number[];
  readonly dtype: DataType;
  /** As an input of other nodes. */
  readonly reference: string;
  readonly operation: string;

  constructor(reference: string, operation: string, shape: readonly number[], dtype: DataType) {
    this.reference = reference;
    this.operation = operation;
    this.shape = shape;
    this.dtype = dtype;
  }

  /** These are how tfjs tensors are read; here they only say why that cannot be. */
  dataSync(): never {
    throw new ReadInStepError('dataSync', this);
  }
  data(): never {
    throw new ReadInStepError('data', this);
  }
  arraySync(): never {
    throw new ReadInStepError('arraySync', this);
  }
  array(): never {
    throw new ReadInStepError('array', this);
  }
  [Symbol.toPrimitive](): never {
    throw new ReadInStepError('conversion to a number or text', this);
  }
}

/** A node, and the line that asked for it where lines are wanted. */
export interface RecordedNode {
  readonly operation: string;
  readonly bytes: Buffer;
  readonly line: string | null;
}

export interface GraphOptions {
  /** Remember the line each node comes from. */
  readonly lines?: boolean;
  /** Mark the nodes for XLA. */
  readonly xla?: boolean;
}

/** What XLA cannot take into a cluster, or must not: state and what comes from outside. */
const outsideXla = /^(Placeholder|VarHandleOp|ReadVariableOp|Assign.*)$/;

/** Collects the nodes of one graph. */
export class GraphBuilder {
  readonly nodes: RecordedNode[] = [];
  readonly #options: GraphOptions;
  #count = 0;
  readonly #constants = new Map<string, GraphTensor>();

  constructor(options: GraphOptions = {}) {
    this.#options = options;
  }

  /** Adds a node of a name of its own and gives the name. */
  add(name: string, operation: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>>): string {
    const compiled = this.#options.xla === true && !outsideXla.test(operation);
    const all = compiled ? { ...attributes, _XlaCompile: attribute.bool(true) } : attributes;
    const line = this.#options.lines === true ? callerLine() : null;
    this.nodes.push({ operation, bytes: graphNode(name, operation, inputs, all), line });
    return name;
  }

  /** Adds an operation with one output. */
  operation(
    operation: string,
    inputs: readonly (Tensor | string)[],
    attributes: Readonly<Record<string, Attribute>>,
    shape: readonly number[],
    dtype: DataType = 'float32',
  ): GraphTensor {
    const references = inputs.map((input) => (typeof input === 'string' ? input : graphTensor(input).reference));
    const name = this.add(`${operation}_${this.#count++}`, operation, references, attributes);
    return new GraphTensor(name, operation, shape, dtype);
  }

  /** A constant; equal ones share a node. */
  constant(values: Float32Array | Int32Array, shape: readonly number[]): GraphTensor {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const content = values.length > 16 ? createHash('sha1').update(bytes).digest('hex') : values.join();
    const key = `${dtype} ${shape.join()} ${content}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const attributes = { dtype: attribute.type(dtype), value: attribute.tensor(dtype, shape, values) };
    const tensor = this.operation('Const', [], attributes, shape, dtype);
    this.#constants.set(key, tensor);
    return tensor;
  }
}

/** The tensor as part of a graph; a TypeError for one made outside the step. */
export function graphTensor(tensor: Tensor): GraphTensor {
  if (tensor instanceof GraphTensor) return tensor;
  throw new TypeError(
    `a tensor of shape [${tensor.shape.join(', ')}] was made outside the step that uses it; make it a feed, state, or a constant of the step`,
  );
}
