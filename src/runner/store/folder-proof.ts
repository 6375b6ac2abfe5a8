/**
 * What was known of a folder as a whole when it was hashed: its own times, the node that came out, and the folders in
 * it. While these times and the stats of its files are as they were, its node is, too: it is neither listed nor hashed
 * again. A folder with symbolic links has no proof, because where a link leads depends on more than the folder.
 *
 * Packed: version, number of files, number of folders, length of the folders' names (four unsigned 32-bit integers);
 * mtime, ctime, inode, time of the check, size of its files (five signed 64-bit integers); the node's digest; the
 * digests of the folders; a letter for each file, `f` or `x`; the names of the folders (NUL between them).
 */
import type { BigIntStats } from 'node:fs';
import { NodeReader, NodeWriter } from './merkle.ts';
import { alignedWords, sameTime, signedAt, unsignedAt } from './rough-times.ts';
import { roughRacyWindow } from './stat-row.ts';
import type { StatRow } from './stat-row.ts';

const version = 1;
const fixed = 16 + 5 * 8 + 32;

/** In doubles: see `rough-times.ts`. Times are nanoseconds since 1970. */
export interface FolderTimes {
  readonly mtime: number;
  readonly ctime: number;
  readonly inode: number;
  /** Before the folder was listed. */
  readonly checkedAt: number;
}

export interface FolderProof extends FolderTimes {
  /** Bytes of the files that lie in the folder itself. */
  readonly size: number;
  /** SHA-256 of the folder's node, 32 raw bytes. */
  readonly digest: Buffer;
  readonly files: number;
  /** `f` or `x` for each file of the stat row, in its order. */
  types(): string;
  readonly folders: readonly { readonly name: string; readonly digest: Buffer }[];
}

/**
 * Whether the folder holds the names that it held. As for files, one that was changed in the two seconds before it was
 * listed is not trusted.
 */
export function trustsFolder(times: FolderTimes, mtime: number, ctime: number, inode: number): boolean {
  if (!sameTime(mtime, times.mtime) || !sameTime(ctime, times.ctime) || inode !== times.inode) return false;
  return (times.mtime > times.ctime ? times.mtime : times.ctime) < times.checkedAt - roughRacyWindow;
}

/** The proof of a folder that was just hashed to `node`; null for one that holds symbolic links. */
export function proveFolder(node: Buffer, digest: Buffer, stat: BigIntStats, size: number, checkedAt: bigint): FolderProof | null {
  let types = '';
  const folders: { name: string; digest: Buffer }[] = [];
  for (const reader = new NodeReader(node); !reader.done; reader.next()) {
    const type = reader.type();
    if (type === 'l') return null;
    if (type === 'd') {
      const entry = reader.entry();
      folders.push({ name: entry.name, digest: Buffer.from(entry.digest, 'hex') });
    } else types += type;
  }
  return { mtime: Number(stat.mtimeNs), ctime: Number(stat.ctimeNs), inode: Number(stat.ino), checkedAt: Number(checkedAt), size, digest, files: types.length, types: () => types, folders };
}

/** The node that a proof stands for, made anew from it and the folder's stat row. */
export function provenNode(proof: FolderProof, row: StatRow): Buffer {
  const node = new NodeWriter();
  const types = proof.types();
  let next = 0;
  for (const [place, name] of row.names.entries()) {
    for (; next < proof.folders.length && proof.folders[next]!.name < name; next++) node.add('d', proof.folders[next]!.name, proof.folders[next]!.digest);
    node.add(types[place] === 'x' ? 'x' : 'f', name, row.digest(place));
  }
  for (; next < proof.folders.length; next++) node.add('d', proof.folders[next]!.name, proof.folders[next]!.digest);
  return node.bytes();
}

export function packProof(proof: FolderProof): Buffer {
  const names = Buffer.from(proof.folders.map(({ name }) => name).join('\0'), 'latin1');
  const count = proof.folders.length;
  const types = proof.types();
  const packed = Buffer.alloc(fixed + count * 32 + types.length + names.length);
  packed.writeUInt32LE(version, 0);
  packed.writeUInt32LE(types.length, 4);
  packed.writeUInt32LE(count, 8);
  packed.writeUInt32LE(names.length, 12);
  const numbers = [proof.mtime, proof.ctime, proof.inode, proof.checkedAt, proof.size];
  for (const [index, number] of numbers.entries()) packed.writeBigInt64LE(BigInt.asIntN(64, BigInt(number)), 16 + index * 8);
  proof.digest.copy(packed, fixed - 32);
  for (const [index, { digest }] of proof.folders.entries()) digest.copy(packed, fixed + index * 32);
  packed.write(types, fixed + count * 32, 'latin1');
  names.copy(packed, fixed + count * 32 + types.length);
  return packed;
}

/** Null for one that another version of the program wrote, or a damaged one: the folder is then hashed anew. */
export function unpackProof(packed: Buffer): FolderProof | null {
  if (packed.length < fixed || packed.readUInt32LE(0) !== version) return null;
  const files = packed.readUInt32LE(4);
  const count = packed.readUInt32LE(8);
  const namesLength = packed.readUInt32LE(12);
  const types = fixed + count * 32;
  if (packed.length !== types + files + namesLength) return null;
  const names = count === 0 ? [] : packed.toString('latin1', types + files).split('\0');
  if (names.length !== count) return null;
  const words = alignedWords(packed, 16, 10);
  return {
    mtime: signedAt(words, 0), ctime: signedAt(words, 2), inode: unsignedAt(words, 4), checkedAt: signedAt(words, 6), size: unsignedAt(words, 8),
    digest: packed.subarray(fixed - 32, fixed), files, types: () => packed.toString('latin1', types, types + files),
    folders: names.map((name, index) => ({ name, digest: packed.subarray(fixed + index * 32, fixed + index * 32 + 32) })),
  };
}
