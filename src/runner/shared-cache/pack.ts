/** Which files of an artefact go into which blob. */
import type { PieceFile } from './contents.ts';
import type { ArtefactEntry } from './list-entries.ts';

/** Smaller ones share a blob: a folder of 100,000 images is not 100,000 requests. */
const smallFile = 256 << 10;
const packBytes = 8 << 20;

export interface Pack {
  readonly files: readonly PieceFile[];
  readonly size: number;
}

export function packFiles(entries: readonly ArtefactEntry[]): Pack[] {
  const packs: Pack[] = [];
  let small: PieceFile[] = [];
  let bytes = 0;
  const close = (): void => {
    if (small.length > 0) packs.push({ files: small, size: bytes });
    small = [];
    bytes = 0;
  };
  for (const { relative, type, size, digest } of entries) {
    if (type !== 'f' && type !== 'x') continue;
    const file: PieceFile = { path: relative, executable: type === 'x', size, digest };
    if (size >= smallFile) {
      packs.push({ files: [file], size });
      continue;
    }
    if (bytes + size > packBytes) close();
    small.push(file);
    bytes += size;
  }
  close();
  return packs;
}
