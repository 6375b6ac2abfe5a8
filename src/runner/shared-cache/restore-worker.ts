/** A thread that fetches pieces, checks them and writes their files: receiving and hashing keep one core busy each. */
import { parentPort, workerData } from 'node:worker_threads';
import { downloadPiece, LocalTrouble } from './blob-download.ts';
import { connect } from './connect.ts';
import { DirectGets } from './direct-get.ts';
import { PieceWriter } from './piece-writer.ts';
import { BadEntry, RemoteTrouble } from './remote.ts';
import type { SharedCache } from './remote.ts';
import type { PieceAnswer, PieceOrder, WorkerSettings } from './restore-threads.ts';

const { url, ...settings } = workerData as WorkerSettings;
const gets = new DirectGets(settings);
let connecting: Promise<SharedCache> | null = null;
const cache = (): Promise<SharedCache> => (connecting ??= connect({ ...settings, url: new URL(url) }));

parentPort?.on('message', (order: PieceOrder) => {
  void fetchPiece(order).then(answer => parentPort?.postMessage(answer));
});

async function fetchPiece({ id, piece, request, base }: PieceOrder): Promise<PieceAnswer> {
  try {
    await downloadPiece({ cache, gets, request }, piece, new PieceWriter(piece, ({ path }) => (path === '' ? base : `${base}/${path}`)), { timeoutMs: settings.timeoutMs, signal: null });
    return { id, failure: null };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof BadEntry) return { id, failure: { kind: 'bad', message, stored: error.stored } };
    const kind = error instanceof RemoteTrouble ? error.kind : error instanceof LocalTrouble ? 'local' : 'bug';
    return { id, failure: { kind, message, stored: null } };
  }
}
