/** Checkpoints on this host, by the names of their jobs: described for whoever fetches one, and put where a job looks for it. */
import { chmodSync, constants, copyFileSync, existsSync, mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bytePath, fsPath, isExecutable } from '../../store/file-bytes.ts';
import { measureOutput } from '../../store/measure-output.ts';
import type { Artefact } from '../../store/model.ts';
import { removeTree } from '../../store/read-only-tree.ts';
import type { HostCheckpoint, HostEntry } from '../protocol.ts';
import { sizeOf } from './host-gc.ts';
import type { HostStore } from './host-store.ts';

export const checkpointFolder = (folder: string, name: string): string => join(folder, 'checkpoints', name);

/** Of a job that does not run. `most`: bytes; what is larger is not even read. */
export async function describeCheckpoint(folder: string, name: string, most: number): Promise<HostCheckpoint> {
  const path = checkpointFolder(folder, name);
  if (!existsSync(path)) return { kind: 'none' };
  const bytes = sizeOf(path);
  if (bytes > most) return { kind: 'too-large', bytes };
  const { artefact, entries } = await measureOutput(path, name);
  if (artefact.files === 0) return { kind: 'none' };
  const root = bytePath(path);
  return {
    kind: 'there',
    tree: {
      artefact,
      entries: entries.map(({ relative, stat, digest }): HostEntry => {
        if (stat.isDirectory()) return ['d', relative, '', 0];
        if (stat.isSymbolicLink()) return ['l', relative, readlinkSync(fsPath(`${root}/${relative}`), 'latin1'), 0];
        return [isExecutable(stat) ? 'x' : 'f', relative, Buffer.from(digest).toString('hex'), Number(stat.size)];
      }),
    },
  };
}

/** A copy of its own, in place of what is there: whoever goes on from a checkpoint writes into its folder. */
export function placeCheckpoint(store: HostStore, folder: string, name: string, artefact: Artefact): void {
  const there = store.manifest(artefact.digest);
  if (there === null) throw new Error('the checkpoint that was sent along is not there any more');
  const path = checkpointFolder(folder, name);
  const incoming = join(folder, 'checkpoints', `.${name}-${process.pid}`);
  if (existsSync(incoming)) removeTree(incoming);
  const from = bytePath(store.pathOf(artefact));
  const to = bytePath(incoming);
  // A folder comes before what is in it.
  for (const [type, relative, content] of [...there.entries].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
    const [source, place] = [from, to].map(root => fsPath(relative === '' ? root : `${root}/${relative}`)) as [ReturnType<typeof fsPath>, ReturnType<typeof fsPath>];
    if (type === 'd') mkdirSync(place);
    else if (type === 'l') symlinkSync(Buffer.from(content, 'latin1'), place);
    else {
      copyFileSync(source, place, constants.COPYFILE_FICLONE);
      chmodSync(place, type === 'x' ? 0o755 : 0o644);
    }
  }
  if (existsSync(path)) removeTree(path);
  renameSync(incoming, path);
}
