/**
 * Times of files in doubles: `node:fs` makes such stats in little more than half the time that exact ones take. They are
 * off by less than half a microsecond, which is enough to know an untouched file by: whatever changes one sets its ctime
 * to the present, and what is compared here was last changed two seconds before it was looked at.
 */
const within = 1000;

/** Nanoseconds since 1970 of both. */
export function sameTime(a: number, b: number): boolean {
  const apart = a - b;
  return apart < within && apart > -within;
}

/** `mtimeMs` and `ctimeMs` of a file's stats, in nanoseconds. */
export function nanoseconds(ms: number): number {
  return ms * 1e6;
}

/** A signed 64-bit integer, low half first, out of 32-bit words. */
export function signedAt(words: Uint32Array, at: number): number {
  return (words[at + 1]! | 0) * 4_294_967_296 + words[at]!;
}

export function unsignedAt(words: Uint32Array, at: number): number {
  return words[at + 1]! * 4_294_967_296 + words[at]!;
}

/** 32-bit words of a packed row. A typed array needs an aligned start, which a buffer does not promise. */
export function alignedWords(packed: Buffer, start: number, length: number): Uint32Array {
  if ((packed.byteOffset + start) % 4 === 0) return new Uint32Array(packed.buffer, packed.byteOffset + start, length);
  const words = new Uint32Array(length);
  packed.copy(new Uint8Array(words.buffer), 0, start, start + words.byteLength);
  return words;
}
