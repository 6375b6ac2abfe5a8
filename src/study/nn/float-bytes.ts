import { endianness } from 'node:os';

/** 32-bit floats as little-endian bytes, whatever the machine's own order. */
export function floatBytes(values: Float32Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}

/** The floats that little-endian bytes hold; a copy. */
export function bytesToFloats(bytes: Buffer): Float32Array {
  const copy = new Uint8Array(bytes);
  if (endianness() === 'BE') Buffer.from(copy.buffer).swap32();
  return new Float32Array(copy.buffer);
}
