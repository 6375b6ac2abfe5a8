/** Fetching the pieces of a large artefact on several threads. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { SharedCacheConfig } from './config.ts';
import { isWorthDirect, LocalTrouble } from './blob-download.ts';
import type { Piece } from './contents.ts';
import { BadEntry, RemoteTrouble } from './remote.ts';
import type { PlainGet, SharedCache, TroubleKind } from './remote.ts';

export type WorkerSettings = Pick<SharedCacheConfig, 'authorization' | 'ca' | 'timeoutMs' | 's3'> & { readonly url: string };

export interface PieceOrder {
  readonly id: number;
  readonly piece: Piece;
  /** Made here: loading Amazon's client takes each thread as long as fetching some hundreds of megabytes. */
  readonly request: PlainGet | null;
  /** Byte path of the artefact. */
  readonly base: string;
}

export interface PieceAnswer {
  readonly id: number;
  readonly failure: { readonly kind: TroubleKind | 'bad' | 'local' | 'bug'; readonly message: string; readonly stored: string | null } | null;
}

/** Starting a thread takes as long as fetching some tens of megabytes. */
const worthwhile = 200_000_000;
const mostThreads = 4;
/** One waits for the disk while another comes. */
const piecesAThread = 3;

/** How many threads are worth it; 1: none of them. */
export function threadsFor(pieces: readonly Piece[], worker: string): number {
  const bytes = pieces.reduce((sum, { storedSize }) => sum + storedSize, 0);
  return bytes < worthwhile || !existsSync(worker) ? 1 : Math.min(mostThreads, availableParallelism(), pieces.length);
}

export const workerFile = (packageRoot: string): string => join(packageRoot, 'dist', 'restore-worker.js');

/** Throws what the first piece that failed failed of; then all threads have ended. */
export async function fetchOnThreads(pieces: readonly Piece[], base: string, how: { readonly worker: string; readonly threads: number; readonly settings: WorkerSettings; readonly cache: SharedCache; readonly signal: AbortSignal | null }): Promise<void> {
  const threads = Array.from({ length: how.threads }, () => new Worker(how.worker, { workerData: how.settings, env: process.env }));
  const end = async (): Promise<void> => void (await Promise.all(threads.map(thread => thread.terminate())));
  try {
    await new Promise<void>((resolve, reject) => {
      let next = 0;
      let done = 0;
      const give = (thread: Worker): void => {
        const id = next++;
        const piece = pieces[id];
        if (piece === undefined) return;
        const request = isWorthDirect(piece) ? how.cache.plainGet(`cas/${piece.stored}`) : Promise.resolve(null);
        request.then(request => thread.postMessage({ id, piece, request, base } satisfies PieceOrder)).catch(reject);
      };
      how.signal?.addEventListener('abort', () => reject(how.signal?.reason), { once: true });
      for (const thread of threads) {
        thread.on('error', reject);
        thread.on('exit', () => reject(new Error('a thread that fetched pieces has ended')));
        thread.on('message', ({ failure }: PieceAnswer) => {
          if (failure !== null) return reject(errorOf(failure));
          if (++done === pieces.length) return resolve();
          give(thread);
        });
      }
      // Round by round, so that all have work from the start.
      for (let round = 0; round < piecesAThread; round++) threads.forEach(give);
    });
  } finally {
    await end();
  }
}

function errorOf({ kind, message, stored }: NonNullable<PieceAnswer['failure']>): Error {
  switch (kind) {
    case 'bad':
      return new BadEntry(message, stored);
    case 'local':
      return new LocalTrouble(message);
    case 'bug':
      return new Error(message);
    default:
      return new RemoteTrouble(kind, message);
  }
}
