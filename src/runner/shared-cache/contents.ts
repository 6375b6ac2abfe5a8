/** How an artefact lies in a shared cache: as pieces, each a blob with one large file or many small ones one after the other. */
import type { Json } from '../json.ts';
import { BadEntry } from './remote.ts';

/** A blob as stored, and what it holds. */
export interface BlobReference {
  /** SHA-256 of the bytes as stored: its name is `cas/<stored>`. */
  readonly stored: string;
  readonly storedSize: number;
  readonly encoding: 'identity' | 'zstd';
  /** Bytes before they were compressed. */
  readonly size: number;
}

export interface PieceFile {
  /** A byte path (one character a byte) below the artefact; '' for an artefact that is one file. */
  readonly path: string;
  readonly executable: boolean;
  readonly size: number;
  /** SHA-256 of its bytes, hex. */
  readonly digest: string;
}

export interface Piece extends BlobReference {
  /** In the order of their bytes. */
  readonly files: readonly PieceFile[];
}

export interface Contents {
  /** Below the artefact, parents first. */
  readonly folders: readonly string[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly pieces: readonly Piece[];
}

/** What a record says of an artefact: of a file its piece, of a folder the blob that holds its `Contents`. */
export type ContentsReference = { readonly kind: 'file'; readonly piece: Piece } | { readonly kind: 'folder'; readonly manifest: BlobReference };

const hex = /^[0-9a-f]{64}$/;

export function readBlobReference(value: Json | undefined): BlobReference {
  const { stored, storedSize, encoding, size } = object(value, 'a blob');
  if (typeof stored !== 'string' || !hex.test(stored)) throw new BadEntry('a blob without a digest');
  if (encoding !== 'identity' && encoding !== 'zstd') throw new BadEntry('a blob in an unknown encoding');
  const reference = { stored, storedSize: count(storedSize), encoding, size: count(size) } as const;
  if (encoding === 'identity' && reference.size !== reference.storedSize) throw new BadEntry('a blob of two sizes');
  return reference;
}

export function readPiece(value: Json | undefined): Piece {
  const blob = readBlobReference(value);
  const files = list(object(value, 'a piece')['files']).map((item): PieceFile => {
    const { path, executable, size, digest } = object(item, 'a file');
    if (typeof path !== 'string' || typeof digest !== 'string' || !hex.test(digest) || typeof executable !== 'boolean') throw new BadEntry('a file that is described in part');
    return { path, executable, size: count(size), digest };
  });
  if (files.reduce((sum, { size }) => sum + size, 0) !== blob.size) throw new BadEntry('a piece that is not the sum of its files');
  return { ...blob, files };
}

/** Checks every path: nothing of it may lead out of the folder, and nothing may be put there twice or through a link. */
export function readContents(value: Json): Contents {
  const { folders: folderValues, links: linkValues, pieces: pieceValues } = object(value, 'a folder');
  const folders = list(folderValues).map(text);
  const links = list(linkValues).map(item => {
    const { path, target } = object(item, 'a link');
    return { path: text(path), target: text(target) };
  });
  const pieces = list(pieceValues).map(item => readPiece(item));
  const known = new Set<string>(['']);
  const place = (path: string): void => {
    checkPath(path);
    if (known.has(path)) throw new BadEntry(`two entries at the path ${shown(path)}`);
    // Folders come first, so what a path lies in is a folder made here, and no link.
    if (!known.has(path.slice(0, Math.max(0, path.lastIndexOf('/'))))) throw new BadEntry(`the path ${shown(path)} lies in no folder of it`);
  };
  for (const folder of folders) {
    place(folder);
    known.add(folder);
  }
  const leaves = [...links.map(({ path }) => path), ...pieces.flatMap(({ files }) => files.map(({ path }) => path))];
  for (const leaf of leaves) place(leaf);
  if (new Set(leaves).size !== leaves.length) throw new BadEntry('two entries at one path');
  for (const { path, target } of links) checkTarget(path, target);
  return { folders, links, pieces };
}

export function readContentsReference(value: Json | undefined): ContentsReference {
  const reference = object(value, 'the content of an output');
  if (reference['kind'] === 'folder') return { kind: 'folder', manifest: readBlobReference(reference['manifest']) };
  if (reference['kind'] !== 'file') throw new BadEntry('the content of an output is neither a file nor a folder');
  const piece = readPiece(reference['piece']);
  if (piece.files.length !== 1 || piece.files[0]?.path !== '') throw new BadEntry('a file that is not one file');
  return { kind: 'file', piece };
}

function checkPath(path: string): void {
  const parts = path.split('/');
  if (path.includes('\0') || parts.some(part => part === '' || part === '.' || part === '..')) throw new BadEntry(`the path ${shown(path)} is not one below its folder`);
  if (path.length > 4096 || parts.some(part => part.length > 255)) throw new BadEntry('a path that is too long');
}

/** The same rule as for links in outputs: by its text it stays in the folder. */
function checkTarget(path: string, target: string): void {
  let depth = path.split('/').length - 1;
  let leaves = target === '' || target.startsWith('/') || target.includes('\0');
  for (const part of target.split('/')) {
    if (part === '..') depth--;
    else if (part !== '' && part !== '.') depth++;
    leaves ||= depth < 0;
  }
  if (leaves) throw new BadEntry(`the link ${shown(path)} leads out of its folder, to ${shown(target)}`);
}

type Fields = Readonly<Record<string, Json | undefined>>;

export function object(value: Json | undefined, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BadEntry(`${what} that is described otherwise than by its fields`);
  return value as Fields;
}

export function list(value: Json | undefined): readonly Json[] {
  if (!Array.isArray(value)) throw new BadEntry('a list is missing');
  return value as readonly Json[];
}

export function count(value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new BadEntry('a size that is none');
  return value;
}

export function text(value: Json | undefined): string {
  if (typeof value !== 'string') throw new BadEntry('a text is missing');
  return value;
}

const shown = (path: string): string => JSON.stringify(path.slice(0, 200));
