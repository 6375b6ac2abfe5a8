/**
 * What was known of the files of one folder, packed: a header, the names (NUL between them), then for each file
 * size, mtime, ctime, inode and the time of the check (five signed 64-bit integers), then 32 bytes of digest each.
 * One database row a folder, because 100,000 rows take ten times as long to read as a hundred blobs of 1,000.
 */
import type { BigIntStats, Stats } from 'node:fs';
import { isAscii } from './file-bytes.ts';
import { alignedWords, nanoseconds, sameTime, signedAt, unsignedAt } from './rough-times.ts';

const fields = 5;
const version = 1;

export class StatRow {
  readonly names: readonly string[];
  readonly #facts: BigInt64Array;
  readonly #digests: Buffer;
  /** The facts as they are compared with stats in doubles. */
  #words: Uint32Array | null = null;
  #places: Map<string, number> | null = null;
  #plain: boolean | null;

  constructor(names: readonly string[], facts: BigInt64Array, digests: Buffer, plain: boolean | null = null) {
    this.names = names;
    this.#facts = facts;
    this.#digests = digests;
    this.#plain = plain;
  }

  /** Whether all names are ASCII. */
  get plain(): boolean {
    return (this.#plain ??= isAscii(this.names.join('')));
  }

  /** How many files a packed row has, without unpacking it; -1 for one that cannot be. */
  static count(packed: Buffer): number {
    return packed.length < 12 || packed.readUInt32LE(0) !== version ? -1 : packed.readUInt32LE(4);
  }

  /** Where a name is, or -1. `guess` is tried first: a scan in order of name finds each file there. */
  place(name: string, guess: number): number {
    if (this.names[guess] === name) return guess;
    this.#places ??= new Map(this.names.map((known, index) => [known, index]));
    return this.#places.get(name) ?? -1;
  }

  /**
   * Whether the file is surely the one that was hashed. A write within the resolution of the time stamps may leave
   * size and times as they were, so a file that was changed in the two seconds before the check is never trusted
   * (the rule of git's index against racy entries, in one comparison).
   */
  trusts(place: number, stat: BigIntStats): boolean {
    if (!this.matches(place, stat)) return false;
    const newest = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
    return newest < this.#facts[place * fields + 4]! - racyWindow;
  }

  /** The same by stats in doubles; see `rough-times.ts`. */
  trustsRough(place: number, stat: Stats): boolean {
    if (!this.matchesRough(place, stat)) return false;
    const newest = stat.mtimeMs > stat.ctimeMs ? stat.mtimeMs : stat.ctimeMs;
    return nanoseconds(newest) < signedAt(this.#words!, place * fields * 2 + 8) - roughRacyWindow;
  }

  /** Without the rule against races. */
  matchesRough(place: number, stat: Stats): boolean {
    const words = (this.#words ??= new Uint32Array(this.#facts.buffer, this.#facts.byteOffset, this.#facts.length * 2));
    return sameFile(words, place * fields * 2, stat);
  }

  /** Without the rule against races: for artefacts, which nobody but this program may write. */
  matches(place: number, stat: BigIntStats): boolean {
    const at = place * fields;
    const facts = this.#facts;
    return facts[at] === stat.size && facts[at + 1] === stat.mtimeNs && facts[at + 2] === stat.ctimeNs && facts[at + 3] === stat.ino;
  }

  digest(place: number): Buffer {
    return this.#digests.subarray(place * 32, place * 32 + 32);
  }

  copyTo(place: number, builder: StatRowBuilder): void {
    builder.addPacked(this.names[place]!, this.#facts.subarray(place * fields, place * fields + fields), this.digest(place));
  }

  pack(): Buffer {
    const names = Buffer.from(this.names.join('\0'), 'latin1');
    const start = align(12 + names.length);
    const facts = Buffer.from(this.#facts.buffer, this.#facts.byteOffset, this.#facts.byteLength);
    const packed = Buffer.alloc(start + facts.length + this.names.length * 32);
    packed.writeUInt32LE(version, 0);
    packed.writeUInt32LE(this.names.length, 4);
    packed.writeUInt32LE(names.length, 8);
    names.copy(packed, 12);
    facts.copy(packed, start);
    this.#digests.copy(packed, start + facts.length, 0, this.names.length * 32);
    return packed;
  }

  /** Whether a packed row is that of one nameless file and has this stat, without unpacking it; null when it is another. */
  static matchesOnly(packed: Buffer, stat: Stats): boolean | null {
    if (packed.length !== 16 + fields * 8 + 32) return null;
    const words = alignedWords(packed, 0, 4 + fields * 2);
    return words[0] === version && words[1] === 1 && words[2] === 0 ? sameFile(words, 4, stat) : null;
  }

  /** Null for a row that another version of the program wrote, or a damaged one: it is then made anew. */
  static unpack(packed: Buffer): StatRow | null {
    if (packed.length < 12 || packed.readUInt32LE(0) !== version) return null;
    const count = packed.readUInt32LE(4);
    const namesLength = packed.readUInt32LE(8);
    const start = align(12 + namesLength);
    if (packed.length !== start + count * (fields * 8 + 32)) return null;
    const text = packed.toString('latin1', 12, 12 + namesLength);
    const names = count === 0 ? [] : text.split('\0');
    if (names.length !== count) return null;
    return new StatRow(names, alignedFacts(packed, start, count * fields), packed.subarray(start + count * fields * 8), isAscii(text));
  }
}

function sameFile(words: Uint32Array, at: number, stat: Stats): boolean {
  return (
    unsignedAt(words, at) === stat.size && sameTime(signedAt(words, at + 2), nanoseconds(stat.mtimeMs)) &&
    sameTime(signedAt(words, at + 4), nanoseconds(stat.ctimeMs)) && unsignedAt(words, at + 6) === stat.ino
  );
}

/** A typed array needs an aligned start, which a buffer from the database does not promise. */
function alignedFacts(packed: Buffer, start: number, length: number): BigInt64Array {
  if ((packed.byteOffset + start) % 8 === 0) return new BigInt64Array(packed.buffer, packed.byteOffset + start, length);
  const facts = new BigInt64Array(length);
  packed.copy(new Uint8Array(facts.buffer), 0, start, start + facts.byteLength);
  return facts;
}

export const racyWindow = 2_000_000_000n;
export const roughRacyWindow = Number(racyWindow);

/** Builds a row file by file, in any order; `finish` sorts nothing: the caller adds in order of name. */
export class StatRowBuilder {
  readonly #names: string[] = [];
  #facts: BigInt64Array;
  #digests: Buffer;

  constructor(expected: number) {
    this.#facts = new BigInt64Array(Math.max(1, expected) * fields);
    this.#digests = Buffer.allocUnsafe(Math.max(1, expected) * 32);
  }

  add(name: string, stat: BigIntStats, checkedAt: bigint, digest: Uint8Array): void {
    const at = this.#room() * fields;
    this.#facts[at] = stat.size;
    this.#facts[at + 1] = stat.mtimeNs;
    this.#facts[at + 2] = stat.ctimeNs;
    this.#facts[at + 3] = stat.ino;
    this.#facts[at + 4] = checkedAt;
    this.#keep(name, digest);
  }

  addPacked(name: string, facts: BigInt64Array, digest: Uint8Array): void {
    this.#facts.set(facts, this.#room() * fields);
    this.#keep(name, digest);
  }

  finish(): StatRow {
    return new StatRow(this.#names, this.#facts.slice(0, this.#names.length * fields), this.#digests.subarray(0, this.#names.length * 32));
  }

  #room(): number {
    const place = this.#names.length;
    if ((place + 1) * 32 > this.#digests.length) {
      const facts = new BigInt64Array(this.#facts.length * 2);
      facts.set(this.#facts);
      this.#facts = facts;
      this.#digests = Buffer.concat([this.#digests], this.#digests.length * 2);
    }
    return place;
  }

  #keep(name: string, digest: Uint8Array): void {
    this.#digests.set(digest, this.#names.length * 32);
    this.#names.push(name);
  }
}

function align(length: number): number {
  return (length + 7) & ~7;
}
