import { readZip } from './archive.ts';
import type { ArchiveFile } from './archive.ts';
import type { LeftOut } from './pairs.ts';

/** An array of a `.npz` file: `shape` as numpy has it, rows first. */
export interface NpyHeader {
  readonly shape: readonly number[];
  /** `u1`, `i8`, `f4` …: numpy's kind and bytes of an item; little-endian or of one byte. */
  readonly type: string;
  readonly itemBytes: number;
}

/** An array to read; its bytes come in pieces, as it may be larger than memory. */
export interface NpyArray extends NpyHeader {
  readonly name: string;
  /** Rows (items along the first axis) of whole length each, in order. */
  rows(): AsyncIterable<Buffer>;
  /** All values as numbers, for small arrays such as labels. */
  numbers(): Promise<number[]>;
}

const magic = Buffer.from('\x93NUMPY', 'latin1');
const readers: Readonly<Record<string, (bytes: Buffer, offset: number) => number>> = {
  b1: (bytes, at) => bytes.readUInt8(at), u1: (bytes, at) => bytes.readUInt8(at), i1: (bytes, at) => bytes.readInt8(at),
  u2: (bytes, at) => bytes.readUInt16LE(at), i2: (bytes, at) => bytes.readInt16LE(at), u4: (bytes, at) => bytes.readUInt32LE(at), i4: (bytes, at) => bytes.readInt32LE(at),
  u8: (bytes, at) => Number(bytes.readBigUInt64LE(at)), i8: (bytes, at) => Number(bytes.readBigInt64LE(at)), f4: (bytes, at) => bytes.readFloatLE(at), f8: (bytes, at) => bytes.readDoubleLE(at),
};

/**
 * Reads the header of numpy's array format, versions 1 to 3: `{'descr': '|u1', 'fortran_order': False, 'shape': (3, 28, 28), }`.
 *
 * @returns the header and where the data begin; undefined while `bytes` do not hold all of it
 * @throws Error for what is no array, or one of a kind that is not read (objects, which could run code, among them)
 */
export function npyHeader(bytes: Buffer): { readonly header: NpyHeader; readonly offset: number } | undefined {
  if (bytes.length >= 6 && !bytes.subarray(0, 6).equals(magic)) throw new Error('it is no numpy array');
  if (bytes.length < 12) return undefined;
  const long = bytes[6] !== 1;
  const length = long ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  const offset = (long ? 12 : 10) + length;
  if (length > 65536) throw new Error(`its header claims ${length} bytes`);
  if (bytes.length < offset) return undefined;
  const text = bytes.subarray(long ? 12 : 10, offset).toString('latin1');
  const type = /'descr':\s*'([<|=]?)([biuf]\d)'/.exec(text)?.[2];
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(text)?.[1]?.split(',').filter(part => part.trim() !== '').map(Number);
  if (type === undefined || readers[type] === undefined || shape === undefined) throw new Error(`an array of ${/'descr':\s*([^,]*)/.exec(text)?.[1] ?? 'an unknown kind'} is not read`);
  if (/'fortran_order':\s*True/.test(text)) throw new Error('the array has columns first (fortran_order), which is not read');
  return { header: { shape, type, itemBytes: Number(type.slice(1)) }, offset };
}

async function openArray(file: ArchiveFile): Promise<NpyArray> {
  const stream = await file.open();
  const source = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let bytes: Buffer = Buffer.alloc(0);
  let found = npyHeader(bytes);
  while (found === undefined) {
    const next = await source.next();
    if (next.done === true) throw new Error('it ends inside its header');
    bytes = Buffer.concat([bytes, next.value]);
    found = npyHeader(bytes);
  }
  const { header, offset } = found;
  const rowBytes = header.shape.slice(1).reduce((product, size) => product * size, 1) * header.itemBytes;
  const count = header.shape[0] ?? 1;
  if (!Number.isSafeInteger(rowBytes * count) || rowBytes * count !== file.bytes - offset) {
    throw new Error(`its shape (${header.shape.join(', ')}) needs ${rowBytes * count} bytes, the file holds ${file.bytes - offset}`);
  }
  let rest: Buffer = bytes.subarray(offset);
  async function* rows(): AsyncGenerator<Buffer> {
    if (rowBytes === 0) return;
    for (let row = 0; row < count; row += 1) {
      const pieces = [rest];
      let held = rest.length;
      while (held < rowBytes) {
        const next = await source.next();
        if (next.done === true) throw new Error(`it ends inside row ${row}`);
        pieces.push(next.value);
        held += next.value.length;
      }
      const joined = pieces.length === 1 ? rest : Buffer.concat(pieces);
      rest = joined.subarray(rowBytes);
      yield joined.subarray(0, rowBytes);
    }
  }
  return {
    ...header,
    name: file.name.replace(/\.npy$/, ''),
    rows,
    async numbers() {
      const read = readers[header.type];
      const values: number[] = [];
      for await (const row of rows()) for (let at = 0; at < row.length; at += header.itemBytes) values.push(read?.(row, at) ?? NaN);
      return values;
    },
  };
}

/**
 * Goes through the arrays of a `.npz` file (a zip archive of `.npy` files) in its order. An array that cannot be read is reported.
 *
 * @throws Error when the file is no zip archive; what `visit` marks as fatal
 */
export function readNpz(path: string, visit: (array: NpyArray) => Promise<void>, options: Parameters<typeof readZip>[2] = {}): Promise<LeftOut[]> {
  return readZip(path, async file => {
    if (file.name.endsWith('.npy')) await visit(await openArray(file));
  }, options);
}
