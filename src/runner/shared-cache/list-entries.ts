/** What an artefact of the store consists of, as a shared cache has to know it. */
import { readlinkSync } from 'node:fs';
import type { ArtefactStore } from '../store/artefacts.ts';
import { bytePath, fsPath, isExecutable } from '../store/file-bytes.ts';
import type { Artefact } from '../store/model.ts';

/** The root of a folder is one, too, with the path ''. */
export interface ArtefactEntry {
  /** Byte path below the artefact. */
  readonly relative: string;
  readonly type: 'f' | 'x' | 'd' | 'l';
  readonly size: number;
  /** Hex. */
  readonly digest: string;
  /** Byte path that a link leads to, '' for anything else. */
  readonly target: string;
}

export function listEntries(artefact: Artefact, artefacts: ArtefactStore): ArtefactEntry[] {
  const root = bytePath(artefacts.pathOf(artefact));
  return artefacts.entries(artefact).map(({ relative, stat, digest }) => ({
    relative, type: stat.isDirectory() ? 'd' : stat.isSymbolicLink() ? 'l' : isExecutable(stat) ? 'x' : 'f', size: Number(stat.size),
    digest: Buffer.from(digest).toString('hex'), target: stat.isSymbolicLink() ? readlinkSync(fsPath(`${root}/${relative}`), 'latin1') : '',
  }));
}
