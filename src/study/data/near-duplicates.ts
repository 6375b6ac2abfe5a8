import { hashBits } from './perceptual-hash.ts';

const words = hashBits / 32;
const chunks = hashBits / 16;

/**
 * The largest distance that the index finds without fail: of 16 parts of 16 bits one differs in at most one bit, as long as
 * the whole differs in at most 31 (Norouzi 2012, multi-index hashing).
 */
export const largestDistance = 31;

export interface HashIndex {
  /** Adds a hash of 64 hexadecimal digits; its number is how many were added before. */
  add(hash: string): number;
  /** All added hashes at most `distance` bits away, with their distances, in order of their numbers. @throws RangeError beyond largestDistance */
  near(hash: string, distance: number): { readonly number: number; readonly distance: number }[];
}

const ones = new Uint8Array(65536);
for (let value = 1; value < ones.length; value += 1) ones[value] = (ones[value >> 1] ?? 0) + (value & 1);

const parse = (hash: string): Uint32Array => Uint32Array.from({ length: words }, (_, word) => Number.parseInt(hash.slice(word * 8, word * 8 + 8), 16));
const chunkOf = (bits: Uint32Array, chunk: number): number => ((bits[chunk >> 1] ?? 0) >>> (chunk % 2 === 0 ? 16 : 0)) & 0xffff;

/** An index over at most `capacity` hashes, of about 100 bytes each. */
export function hashIndex(capacity: number): HashIndex {
  const all = new Uint32Array(capacity * words);
  // A list for each value of each part: its latest member, and for every member the one before. Numbers count from 1, 0 ends.
  const latest = new Int32Array(chunks * 65536);
  const before = new Int32Array(chunks * capacity);
  const seen = new Int32Array(capacity);
  let count = 0;
  let query = 0;
  return {
    add(hash) {
      if (count === capacity) throw new RangeError(`the index is full at ${capacity} hashes`);
      const bits = parse(hash);
      all.set(bits, count * words);
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        const at = chunk * 65536 + chunkOf(bits, chunk);
        before[chunk * capacity + count] = latest[at] ?? 0;
        latest[at] = count + 1;
      }
      count += 1;
      return count - 1;
    },
    near(hash, distance) {
      if (!(distance >= 0) || distance > largestDistance) throw new RangeError(`a distance is 0 to ${largestDistance} bits, not ${distance}`);
      const bits = parse(hash);
      query += 1;
      const found: { number: number; distance: number }[] = [];
      // Where each part may differ in at most one bit, its value and those with one bit turned cover all.
      const turns = distance < chunks ? 1 : 17;
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        const value = chunkOf(bits, chunk);
        for (let turn = 0; turn < turns; turn += 1) {
          let at = latest[chunk * 65536 + (turn === 0 ? value : value ^ (1 << (turn - 1)))] ?? 0;
          for (; at > 0; at = before[chunk * capacity + at - 1] ?? 0) {
            const number = at - 1;
            if (seen[number] === query) continue;
            seen[number] = query;
            let differing = 0;
            for (let word = 0; word < words && differing <= distance; word += 1) {
              const turned = (bits[word] ?? 0) ^ (all[number * words + word] ?? 0);
              differing += (ones[turned & 0xffff] ?? 0) + (ones[turned >>> 16] ?? 0);
            }
            if (differing <= distance) found.push({ number, distance: differing });
          }
        }
      }
      return found.sort((x, y) => x.number - y.number);
    },
  };
}
