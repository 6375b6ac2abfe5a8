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

/** IEEE 754 half precision, little-endian. */
export function fromHalf(bytes: Buffer): Float32Array {
  // A table of all 65,536 values costs less than a tenth of a second once, and a look-up a value after that.
  halves ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfValue(bits));
  const values = new Float32Array(bytes.length / 2);
  for (let at = 0; at < values.length; at++) values[at] = halves[bytes[2 * at]! | (bytes[2 * at + 1]! << 8)]!;
  return values;
}

let halves: Float32Array | undefined;

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/** bfloat16, little-endian: the upper half of a 32-bit float. */
export function fromTruncated(bytes: Buffer): Float32Array {
  const bits = new Uint32Array(bytes.length / 2);
  for (let at = 0; at < bits.length; at++) bits[at] = (bytes[2 * at]! | (bytes[2 * at + 1]! << 8)) << 16;
  return new Float32Array(bits.buffer);
}

/** IEEE 754 double precision, little-endian. */
export const fromDouble = (bytes: Buffer): Float32Array => Float32Array.from({ length: bytes.length / 8 }, (_, at) => bytes.readDoubleLE(8 * at));
