import type { DataType, Tensor } from './kernels.ts';
import { attribute, graphNode } from './graph-def.ts';
import type { Attribute } from './graph-def.ts';

/** A step looked at a tensor's values while it was being recorded. */
export class ReadInStepError extends Error {
  override readonly name = 'ReadInStepError';
  readonly hint = 'return the tensor from the step and read it from what call() gives; decide on its value there, or feed it';

  constructor(method: string, tensor: GraphTensor) {
    super(
      `${method}() was called on the result of ${tensor.operation}, shape [${tensor.shape.join(', ')}], inside a step that is ` +
        'being recorded as a graph: it has no values yet, and what is decided on them would be frozen',
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

/** Collects the nodes of one graph. */
export class GraphBuilder {
  readonly nodes: Buffer[] = [];
  #count = 0;
  readonly #constants = new Map<string, GraphTensor>();

  /** Adds a node of a name of its own and gives the name. */
  add(name: string, operation: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>>): string {
    this.nodes.push(graphNode(name, operation, inputs, attributes));
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

  /** A constant; small ones that are equal share a node. */
  constant(values: Float32Array | Int32Array, shape: readonly number[]): GraphTensor {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    const key = values.length > 16 ? null : `${dtype} ${shape.join()} ${values.join()}`;
    const known = key === null ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const attributes = { dtype: attribute.type(dtype), value: attribute.tensor(dtype, shape, values) };
    const tensor = this.operation('Const', [], attributes, shape, dtype);
    if (key !== null) this.#constants.set(key, tensor);
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
