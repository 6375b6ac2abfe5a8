/**
 * TensorFlow's GraphDef and SavedModel messages, written out by hand: of protocol buffers only the few fields that a
 * recorded step needs (tensorflow/core/framework/{graph,node_def,attr_value,tensor}.proto, protobuf/saved_model.proto).
 */

/** TensorFlow's numbers for element types. */
export const tensorFlowType = { float32: 1, int32: 3, bfloat16: 14 } as const;

/** One value of a node's attribute, already encoded. */
export type Attribute = Buffer;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  // Negative numbers do not occur: shapes are known, and types and counts are not negative.
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

const field = (number: number, wire: 0 | 2 | 5): Buffer => varint(number * 8 + wire);
const integer = (number: number, value: number): Buffer => Buffer.concat([field(number, 0), varint(value)]);
const bytes = (number: number, value: Buffer | string): Buffer => {
  const body = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([field(number, 2), varint(body.length), body]);
};

const shapeMessage = (shape: readonly number[]): Buffer => Buffer.concat(shape.map((length) => bytes(2, integer(1, length))));

export const attribute = {
  type: (dtype: keyof typeof tensorFlowType): Attribute => integer(6, tensorFlowType[dtype]),
  int: (value: number): Attribute => integer(3, value),
  bool: (value: boolean): Attribute => integer(5, value ? 1 : 0),
  text: (value: string): Attribute => bytes(2, value),
  shape: (shape: readonly number[]): Attribute => bytes(7, shapeMessage(shape)),
  /** A tensor's values, little-endian. */
  tensor(dtype: keyof typeof tensorFlowType, shape: readonly number[], values: Float32Array | Int32Array): Attribute {
    const content = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    return bytes(8, Buffer.concat([integer(1, tensorFlowType[dtype]), bytes(2, shapeMessage(shape)), bytes(4, content)]));
  },
};

/** One node; an input is `node`, `node:1` for a second output, or `^node` to only wait for it. */
export function graphNode(
  name: string,
  operation: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
): Buffer {
  return Buffer.concat([
    bytes(1, name),
    bytes(2, operation),
    ...inputs.map((input) => bytes(3, input)),
    ...Object.entries(attributes).map(([key, value]) => bytes(5, Buffer.concat([bytes(1, key), bytes(2, value)]))),
  ]);
}

/** Version 987 of the graph format: that of TensorFlow 2.9, which every release since reads. */
const graphVersion = 987;

/** A SavedModel with one graph under the tag `serve`, without signatures and variables on disk. */
export function savedModel(nodes: readonly Buffer[]): Buffer {
  const graph = Buffer.concat([...nodes.map((node) => bytes(1, node)), bytes(4, integer(1, graphVersion))]);
  const about = Buffer.concat([bytes(4, 'serve'), bytes(5, '2.9.1')]);
  return Buffer.concat([integer(1, 1), bytes(2, Buffer.concat([bytes(1, about), bytes(2, graph)]))]);
}
