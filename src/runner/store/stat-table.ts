/** The rows of `file_stat`, one a folder: read when they are asked for, and written at the end. */
import type { Database, Statement } from 'better-sqlite3';
import { packProof, unpackProof } from './folder-proof.ts';
import type { FolderProof } from './folder-proof.ts';
import { StatRow } from './stat-row.ts';

interface Stored {
  readonly rows: Buffer;
  readonly proof: Buffer | null;
}

/** What is known of a folder. Unpacked when somebody looks: most of a large tree is compared as it is packed. */
export class KnownFolder {
  readonly packed: Buffer | null;
  readonly proof: FolderProof | null;
  #row: StatRow | null | undefined;

  constructor(packed: Buffer | null, row: StatRow | undefined, proof: FolderProof | null) {
    this.packed = packed;
    this.#row = row;
    this.proof = proof;
  }

  get row(): StatRow | null {
    if (this.#row === undefined) this.#row = this.packed === null ? null : StatRow.unpack(this.packed);
    return this.#row;
  }

  /** How many files the row has; -1 when it cannot be read. */
  get files(): number {
    return this.packed === null ? (this.row?.names.length ?? -1) : StatRow.count(this.packed);
  }
}

const unknown = new KnownFolder(null, undefined, null);

export class StatTable {
  readonly #database: Database;
  readonly #writable: boolean;
  readonly #select: Statement<[Buffer], Stored>;
  readonly #folders = new Map<string, KnownFolder>();
  readonly #changed = new Set<string>();

  constructor(database: Database, writable: boolean) {
    this.#database = database;
    this.#writable = writable;
    this.#select = database.prepare<[Buffer], Stored>('SELECT rows, proof FROM file_stat WHERE folder = ?');
  }

  /** By the byte path of the folder. */
  get(folder: string): KnownFolder {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const stored = this.#select.get(Buffer.from(folder, 'latin1'));
    return this.#keep(folder, stored === undefined ? unknown : unpacked(stored));
  }

  /** Without a proof, the one that was there counts no more: it stands for the row that it was made with. */
  set(folder: string, row: StatRow, proof: FolderProof | null): void {
    this.#keep(folder, new KnownFolder(null, row, proof));
    this.#changed.add(folder);
  }

  /** Writes what was learned, in one transaction. Nothing was learned in a no-op: nothing is written then. */
  flush(): void {
    if (!this.#writable || this.#changed.size === 0) return;
    const insert = this.#database.prepare<[Buffer, Buffer, Buffer | null]>('INSERT OR REPLACE INTO file_stat (folder, rows, proof) VALUES (?, ?, ?)');
    this.#database.transaction(() => {
      for (const folder of this.#changed) {
        const { row, proof } = this.#folders.get(folder)!;
        if (row !== null) insert.run(Buffer.from(folder, 'latin1'), row.pack(), proof === null ? null : packProof(proof));
      }
    })();
    this.#changed.clear();
  }

  #keep(folder: string, known: KnownFolder): KnownFolder {
    this.#folders.set(folder, known);
    return known;
  }
}

function unpacked({ rows, proof }: Stored): KnownFolder {
  return new KnownFolder(rows, undefined, proof === null ? null : unpackProof(proof));
}
