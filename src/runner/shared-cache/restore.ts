/** An artefact out of a shared cache into the store: into a folder beside, checked, and only then to its place. */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ArtefactStore } from '../store/artefacts.ts';
import { bytePath, fsPath } from '../store/file-bytes.ts';
import type { Artefact } from '../store/model.ts';
import { downloadContents, downloadPiece, isWorthDirect, LocalTrouble } from './blob-download.ts';
import type { Contents, ContentsReference, Piece, PieceFile } from './contents.ts';
import { DirectGets } from './direct-get.ts';
import { PieceWriter } from './piece-writer.ts';
import { BadEntry } from './remote.ts';
import type { SharedCache } from './remote.ts';
import { fetchOnThreads, threadsFor } from './restore-threads.ts';
import type { WorkerSettings } from './restore-threads.ts';

const piecesAtOnce = 6;

export interface RestoreOptions {
  readonly cache: SharedCache;
  /** The folder in which files are put together, in the same file system as the artefacts. */
  readonly work: string;
  readonly artefacts: ArtefactStore;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | null;
  /** For large ones; null: on this thread whatever the size. */
  readonly threads: { readonly worker: string; readonly settings: WorkerSettings } | null;
  /** PEM of a certificate authority of one's own; null: those that Node knows. */
  readonly ca: string | null;
}

/** Throws BadEntry, RemoteTrouble or LocalTrouble; the store then is as it was. */
export async function restoreArtefact(artefact: Artefact, reference: ContentsReference, options: RestoreOptions): Promise<void> {
  const contents = await contentsOf(reference, options);
  check(artefact, contents);
  needSpace(options.work, artefact.size);
  const folder = mkdtempSync(join(options.work, `.incoming-${process.pid}-restore-`));
  try {
    const root = join(folder, artefact.name);
    const digests = await write(root, artefact, contents, options);
    // Hashed while they came: what is left is the tree over them, which has to come to the artefact's own digest.
    const added = await options.artefacts.add(root, artefact.name, { digests, only: artefact.digest });
    if (added === null) throw new BadEntry(`${artefact.name} is not what its digest says`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function contentsOf(reference: ContentsReference, options: RestoreOptions): Promise<Contents> {
  if (reference.kind === 'file') return { folders: [], links: [], pieces: [reference.piece] };
  return await downloadContents(options.cache, reference.manifest, options);
}

function check(artefact: Artefact, { pieces, links }: Contents): void {
  const files = pieces.reduce((sum, piece) => sum + piece.files.length, 0) + links.length;
  const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
  if (files !== artefact.files || size !== artefact.size) throw new BadEntry(`${artefact.name} should have ${artefact.files} files of ${artefact.size} bytes, and has ${files} of ${size}`);
}

/** A disk that is filled to the brim would fail much besides. */
function needSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < bytes) throw new LocalTrouble(`there is no room for ${bytes} bytes in ${folder}`);
}

async function write(root: string, artefact: Artefact, contents: Contents, options: RestoreOptions): Promise<Map<string, Buffer>> {
  const base = bytePath(root);
  const pathOf = ({ path }: PieceFile): string => (artefact.type === 'file' ? base : `${base}/${path}`);
  if (artefact.type === 'folder') mkdirSync(root);
  for (const path of contents.folders) mkdirSync(fsPath(`${base}/${path}`));
  const digests = new Map<string, Buffer>();
  for (const piece of contents.pieces) for (const file of piece.files) digests.set(pathOf(file), Buffer.from(file.digest, 'hex'));
  const threads = options.threads === null ? 1 : threadsFor(contents.pieces, options.threads.worker);
  if (options.threads !== null && threads > 1) await fetchOnThreads(contents.pieces, base, { ...options.threads, threads, cache: options.cache, signal: options.signal });
  else await fetchHere(contents.pieces, pathOf, options);
  // Links last: no file is ever written through one.
  for (const { path, target } of contents.links) symlinkSync(fsPath(target), fsPath(`${base}/${path}`));
  return digests;
}

async function fetchHere(pieces: readonly Piece[], pathOf: (file: PieceFile) => string, options: RestoreOptions): Promise<void> {
  // An end of one ends the others.
  const stop = new AbortController();
  const signal = options.signal === null ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const left = pieces.toReversed();
  const gets = new DirectGets(options);
  const worker = async (): Promise<void> => {
    for (let piece = left.pop(); piece !== undefined; piece = left.pop()) {
      const request = isWorthDirect(piece) ? await options.cache.plainGet(`cas/${piece.stored}`) : null;
      await downloadPiece({ cache: () => options.cache, gets, request }, piece, new PieceWriter(piece, pathOf), { timeoutMs: options.timeoutMs, signal });
    }
  };
  let first: unknown = null;
  await Promise.all(Array.from({ length: Math.min(piecesAtOnce, left.length) }, () => worker().catch((error: unknown) => {
    first ??= error;
    left.length = 0;
    stop.abort();
  })));
  gets.close();
  if (first !== null) throw first;
}
