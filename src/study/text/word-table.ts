/** Tokens of words by their UTF-8 bytes, all in flat arrays: neither a known word nor its tokens are objects of their own. */
export interface WordTable {
  /** Place of the word that `bytes` has from `from` up to `to`, or −1; good until the next `keep`. */
  find(bytes: Uint8Array, from: number, to: number): number;
  /** Adds a word that `find` has just not found, and gives its place. When the table is full all others are forgotten. */
  keep(bytes: Uint8Array, from: number, to: number, tokens: ArrayLike<number>): number;
  /** Appends the tokens of the word at `place`. */
  appendTokens(place: number, ids: number[]): void;
}

/** A table of at most `limit` words, a power of two, in twice as many slots. */
export function wordTable(limit: number): WordTable {
  const mask = 2 * limit - 1;
  /** Place of the word, from 1; 0 for an empty slot. */
  const slots = new Int32Array(mask + 1);
  const hashes = new Int32Array(limit);
  /** Where the bytes and the tokens of each word begin; those of the next word are their ends. */
  const byteStarts = new Int32Array(limit + 1);
  const tokenStarts = new Int32Array(limit + 1);
  let heldBytes = new Uint8Array(8 * limit);
  let heldTokens = new Uint16Array(2 * limit);
  let count = 0;
  let slot = 0;
  let hash = 0;
  const find = (bytes: Uint8Array, from: number, to: number): number => {
    hash = to - from;
    for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    slot = (hash ^ (hash >>> 15)) & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const place = slots[slot]! - 1;
      if (hashes[place] !== hash) continue;
      const start = byteStarts[place]!;
      if (byteStarts[place + 1]! - start !== to - from) continue;
      let at = from;
      while (at < to && heldBytes[start - from + at] === bytes[at]) at += 1;
      if (at === to) return place;
    }
    return -1;
  };
  return {
    find,
    keep(bytes, from, to, tokens) {
      if (count === limit) {
        slots.fill(0);
        count = 0;
      }
      if (find(bytes, from, to) >= 0) throw new Error('the word is already there');
      const [byteStart, tokenStart] = [byteStarts[count]!, tokenStarts[count]!];
      const [byteEnd, tokenEnd] = [byteStart + to - from, tokenStart + tokens.length];
      if (byteEnd > heldBytes.length) heldBytes = grown(heldBytes, new Uint8Array(2 * byteEnd));
      if (tokenEnd > heldTokens.length) heldTokens = grown(heldTokens, new Uint16Array(2 * tokenEnd));
      for (let at = from; at < to; at += 1) heldBytes[byteStart - from + at] = bytes[at]!;
      heldTokens.set(tokens, tokenStart);
      hashes[count] = hash;
      byteStarts[count + 1] = byteEnd;
      tokenStarts[count + 1] = tokenEnd;
      slots[slot] = ++count;
      return count - 1;
    },
    appendTokens(place, ids) {
      const end = tokenStarts[place + 1]!;
      for (let at = tokenStarts[place]!; at < end; at += 1) ids.push(heldTokens[at]!);
    },
  };
}

function grown<T extends Uint8Array | Uint16Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
