/** Reads what a shared cache keeps for cells, all of it, and compares every byte with what it is named by. */
import { Writable } from 'node:stream';
import type { Key } from '../store/model.ts';
import { downloadBlob, downloadContents, downloadEntry } from './blob-download.ts';
import type { BlobReference } from './contents.ts';
import { decodeRecord, mostRecordBytes, recordName } from './record.ts';
import { BadEntry } from './remote.ts';
import type { SharedCache } from './remote.ts';
import type { PublicKeyText } from './signing-key.ts';

export interface SharedVerification {
  readonly records: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly bad: readonly { readonly cell: string; readonly name: string; readonly why: string }[];
}

interface Options {
  readonly cache: SharedCache;
  readonly salt: string;
  readonly trusted: ReadonlySet<PublicKeyText>;
  readonly timeoutMs: number;
}

/** Throws RemoteTrouble when the cache cannot be read. */
export async function verifyShared(cells: readonly { readonly cell: string; readonly keys: readonly Key[] }[], options: Options): Promise<SharedVerification> {
  const { cache, salt, trusted, timeoutMs } = options;
  const how = { timeoutMs, signal: null };
  const done = new Map<string, string | null>();
  const bad: { cell: string; name: string; why: string }[] = [];
  let records = 0;
  let bytes = 0;

  /** Each blob once; null when it is whole, else what is wrong with it. */
  const check = async (blob: BlobReference): Promise<string | null> => {
    const known = done.get(blob.stored);
    if (known !== undefined) return known;
    const why = await reasonOf(() => downloadBlob(cache, blob, nothing(), how));
    if (why === null) bytes += blob.storedSize;
    done.set(blob.stored, why);
    return why;
  };

  for (const { cell, keys } of cells) {
    for (const key of keys) {
      const name = recordName(key, salt);
      const entry = await downloadEntry(cache, name, mostRecordBytes, how);
      if (entry === null) continue;
      let blobs: BlobReference[] = [];
      const why = await reasonOf(async () => {
        const { record } = decodeRecord(entry, key, trusted);
        blobs = [record.details, ...(record.log === null ? [] : [record.log.blob])];
        for (const { contents } of Object.values(record.outputs)) {
          if (contents === null) continue;
          if (contents.kind === 'file') blobs.push(contents.piece);
          else blobs.push(contents.manifest, ...(await downloadContents(cache, contents.manifest, how)).pieces);
        }
      });
      if (why !== null) {
        bad.push({ cell, name, why });
        continue;
      }
      records++;
      for (const blob of blobs) {
        const trouble = await check(blob);
        if (trouble !== null && !bad.some(other => other.cell === cell && other.name === `cas/${blob.stored}`)) bad.push({ cell, name: `cas/${blob.stored}`, why: trouble });
      }
    }
  }
  return { records, blobs: [...done.values()].filter(why => why === null).length, bytes, bad };
}

async function reasonOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof BadEntry) return error.message;
    throw error;
  }
}

function nothing(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done(), highWaterMark: 4 << 20 });
}
