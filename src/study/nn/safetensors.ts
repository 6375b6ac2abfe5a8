import { open, readFile, rename } from 'node:fs/promises';
import { bytesToFloats, floatBytes, fromDouble, fromHalf, fromTruncated } from './float-bytes.ts';
import { elements } from './kernels.ts';

export interface SafeTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface SafeTensors {
  readonly tensors: ReadonlyMap<string, SafeTensor>;
  /** Free text by name, the format's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A file that is not in the safetensors format, is cut short, or holds what cannot be read here. */
export class SafeTensorsError extends Error {
  override readonly name = 'SafeTensorsError';
}

/**
 * Writes 32-bit floats in the safetensors format (huggingface/safetensors): a length, a JSON header, the values. Names are
 * sorted, so that equal tensors give equal bytes. The file appears whole or not at all.
 */
export async function writeSafeTensors(path: string, { tensors, metadata }: SafeTensors): Promise<void> {
  const names = [...tensors.keys()].sort();
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let offset = 0;
  for (const name of names) {
    const { shape, values } = tensors.get(name)!;
    if (elements(shape) !== values.length) {
      throw new SafeTensorsError(`the tensor "${name}" has ${values.length} values for the shape [${shape.join(', ')}]`);
    }
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  let text = JSON.stringify(header);
  // Readers map the values straight into memory, so these begin at a multiple of eight bytes.
  text += ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  const part = `${path}.part`;
  const file = await open(part, 'w');
  try {
    await file.writeFile(length);
    await file.writeFile(text);
    for (const name of names) await file.writeFile(floatBytes(tensors.get(name)!.values));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
}

/** A tensor as the header describes it. */
interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes are, from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** What a header says, of those tensors that can be weights. @throws SafeTensorsError */
function parseHeader(path: string, text: string): { readonly entries: readonly Entry[]; readonly metadata: Readonly<Record<string, string>> } {
  const fail = failing(path);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    fail('its header is not JSON');
  }
  const entries: Entry[] = [];
  const metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header as Record<string, unknown>)) {
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(entry as Record<string, unknown>)) metadata[key] = String(value);
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = entry as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
    if (typeof dtype !== 'string' || floatReaders[dtype] === undefined) {
      // OpenAI's files hold three whole numbers, and older ones of Hugging Face lists of positions: neither is a weight.
      if (dtype === 'I64' || dtype === 'I32') continue;
      return fail(`the tensor "${name}" is ${String(dtype)}; ${Object.keys(floatReaders).join(', ')} can be read`);
    }
    if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) return fail(`the entry of "${name}" is malformed`);
    entries.push({ name, dtype, shape, begin: offsets[0]!, end: offsets[1]! });
  }
  return { entries, metadata };
}

const failing = (path: string) => (what: string): never => {
  throw new SafeTensorsError(`${path}: ${what}`);
};

/** Length of the header in the first eight bytes of a file of `size` bytes. @throws SafeTensorsError for one that cannot be */
function headerLengthOf(path: string, first: Buffer, size: number): number {
  if (first.length < 8) failing(path)('too short for a safetensors file');
  const length = Number(first.readBigUInt64LE(0));
  if (length > size - 8) failing(path)(`its header of ${length} bytes is cut short`);
  return length;
}

/** Reads a whole safetensors file; 16-bit floats of either kind and 64-bit ones become 32-bit. @throws SafeTensorsError naming the file and what is wrong with it. */
export async function readSafeTensors(path: string): Promise<SafeTensors> {
  const bytes = await readFile(path);
  const from = 8 + headerLengthOf(path, bytes.subarray(0, 8), bytes.length);
  const { entries, metadata } = parseHeader(path, bytes.toString('utf8', 8, from));
  const tensors = new Map<string, SafeTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    const reader = floatReaders[dtype]!;
    if (from + end > bytes.length || end - begin !== reader.bytes * elements(shape)) failing(path)(`the values of "${name}" are cut short`);
    tensors.set(name, { shape, values: reader.read(bytes.subarray(from + begin, from + end)) });
  }
  return { tensors, metadata };
}

/** Shapes by name, from the header alone. @throws SafeTensorsError as readSafeTensors does, but for what is wrong with values */
export async function readSafeTensorShapes(path: string): Promise<ReadonlyMap<string, Pick<SafeTensor, 'shape'>>> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const first = await file.read(Buffer.alloc(8), 0, 8, 0);
    const length = headerLengthOf(path, first.buffer.subarray(0, first.bytesRead), size);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, 8);
    return new Map(parseHeader(path, buffer.toString('utf8')).entries.map(({ name, shape }) => [name, { shape }]));
  } finally {
    await file.close();
  }
}

const floatReaders: Readonly<Record<string, { readonly bytes: number; read(bytes: Buffer): Float32Array }>> = {
  F32: { bytes: 4, read: bytesToFloats },
  F16: { bytes: 2, read: fromHalf },
  BF16: { bytes: 2, read: fromTruncated },
  F64: { bytes: 8, read: fromDouble },
};

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
