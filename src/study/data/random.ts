import { createHash } from 'node:crypto';

/** A stream of uniform numbers in [0, 1), with the draws that data sets need. */
export interface Random {
  next(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** A whole number in [0, count). */
  below(count: number): number;
  /** Standard normal, by Box and Muller. */
  normal(): number;
  pick<T>(items: readonly T[]): T;
}

/** 64 bits of SHA-256 over the parts: the same on every machine, and unrelated for neighbouring seeds. */
export function hash64(...parts: readonly (string | number)[]): bigint {
  return createHash('sha256').update(JSON.stringify(parts)).digest().readBigUInt64BE(0);
}

/** A share in [0, 1) that belongs to these parts: what decides a row's fate apart from all other rows. */
export function hashShare(...parts: readonly (string | number)[]): number {
  return Number(hash64(...parts) >> 11n) / 2 ** 53;
}

/** `count` of these ids, drawn in a seeded order that does not depend on the other ids: a smaller draw is a part of a larger one. */
export function drawIds(ids: readonly string[], count: number, ...salt: readonly (string | number)[]): Set<string> {
  const keyed = ids.map(id => ({ id, key: hash64(...salt, id) }));
  keyed.sort((x, y) => (x.key < y.key ? -1 : x.key > y.key ? 1 : 0));
  return new Set(keyed.slice(0, count).map(row => row.id));
}

/** A generator (sfc32, Chris Doty-Humphrey's small fast counter) seeded by any parts. */
export function randomOf(...parts: readonly (string | number)[]): Random {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest();
  let a = digest.readInt32LE(0);
  let b = digest.readInt32LE(4);
  let c = digest.readInt32LE(8);
  let counter = digest.readInt32LE(12) | 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 4294967296;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    pick: <T>(items: readonly T[]): T => {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError('there is nothing to pick from');
      return item;
    },
  };
}
