/** One folder while it is hashed: digests from its row where the stats allow it, and what is to be remembered afterwards. */
import type { BigIntStats } from 'node:fs';
import { proveFolder, trustsFolder } from './folder-proof.ts';
import type { FolderProof } from './folder-proof.ts';
import { StatRowBuilder } from './stat-row.ts';
import type { StatRow } from './stat-row.ts';
import type { KnownFolder } from './stat-table.ts';

export class FolderScan {
  readonly #known: KnownFolder;
  readonly #row: StatRow | null;
  readonly #names: readonly string[];
  readonly #hash: (name: string, size: bigint) => Buffer;
  readonly #now: () => bigint;
  #builder: StatRowBuilder | null = null;
  /** Where in the row the files were that are as they were. */
  readonly #kept: number[] = [];
  #place = 0;
  #size = 0n;
  #proof: FolderProof | null = null;
  #stale = true;

  constructor(known: KnownFolder, names: readonly string[], hash: (name: string, size: bigint) => Buffer, now: () => bigint) {
    this.#known = known;
    this.#row = known.row;
    this.#names = names;
    this.#hash = hash;
    this.#now = now;
  }

  /** Of one file; called in order of name. */
  digestOf(name: string, stat: BigIntStats): Buffer {
    this.#size += stat.size;
    const row = this.#row;
    const found = row === null ? -1 : row.place(name, this.#place);
    if (row !== null && found >= 0 && row.trusts(found, stat)) {
      this.#place = found + 1;
      if (this.#builder === null) this.#kept.push(found);
      else row.copyTo(found, this.#builder);
      return row.digest(found);
    }
    this.#builder ??= this.#begun();
    const checkedAt = this.#now();
    const digest = this.#hash(name, stat.size);
    this.#builder.add(name, stat, checkedAt, digest);
    return digest;
  }

  /** `stat`: of the folder, before it was listed; `checkedAt`: before that. */
  finish(node: Buffer, digest: Buffer, stat: BigIntStats, checkedAt: bigint): void {
    this.#proof = proveFolder(node, digest, stat, Number(this.#size), checkedAt);
    const before = this.#known.proof;
    this.#stale = this.#proof === null ? before !== null : before === null || !before.digest.equals(digest) || !trustsFolder(before, Number(stat.mtimeNs), Number(stat.ctimeNs), Number(stat.ino));
  }

  /** What is to be written; null when all was known. */
  learned(): { readonly row: StatRow; readonly proof: FolderProof | null } | null {
    const row = this.#newRow();
    if (row === null && !this.#stale) return null;
    return { row: row ?? this.#row ?? new StatRowBuilder(0).finish(), proof: this.#proof };
  }

  #newRow(): StatRow | null {
    if (this.#builder !== null) return this.#builder.finish();
    return this.#row === null || this.#kept.length === this.#row.names.length ? null : this.#begun().finish();
  }

  /** A row that starts with the files seen so far, which were all trusted. */
  #begun(): StatRowBuilder {
    const builder = new StatRowBuilder(this.#names.length);
    for (const place of this.#kept) this.#row!.copyTo(place, builder);
    return builder;
  }
}
