/** What an artefact or a file of the project consists of, as a host has to have it; contents by digest, and where they lie here. */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { bytePath, fsPath, isExecutable, sha256 } from '../store/file-bytes.ts';
import { namedDigest, readNode } from '../store/merkle.ts';
import type { Artefact, Digest } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { TreeNodes } from '../store/tree-nodes.ts';
import type { HostArtefact, HostEntry } from './protocol.ts';

/** An artefact with a way to each of its files on this machine. */
export interface Shipment extends HostArtefact {
  /** Absolute byte path of an entry's file. */
  readonly pathOf: (entry: HostEntry) => string;
}

/** One that lies in the store here. */
export function storedShipment(store: Store, artefact: Artefact): Shipment {
  const root = bytePath(store.artefacts.pathOf(artefact));
  const entries = store.artefacts.entries(artefact).map(({ relative, stat, digest }): HostEntry => {
    const path = relative === '' ? root : `${root}/${relative}`;
    if (stat.isDirectory()) return ['d', relative, '', 0];
    if (stat.isSymbolicLink()) return ['l', relative, readlinkSync(fsPath(path), 'latin1'), 0];
    return [isExecutable(stat) ? 'x' : 'f', relative, Buffer.from(digest).toString('hex'), Number(stat.size)];
  });
  return { artefact, entries, pathOf: ([, relative]) => (relative === '' ? root : `${root}/${relative}`) };
}

/** A file or folder of the project, under the name it has there. */
export function pathShipment(store: Store, path: string): Shipment {
  const name = basename(path);
  const file = store.stats.file(path);
  if (file !== null) {
    const real = bytePath(realpathSync(path));
    const artefact: Artefact = { digest: namedDigest(file.type, bytePath(name), file.digest), name, type: 'file', size: file.size, files: 1 };
    return { artefact, entries: [[file.type, '', file.digest.toString('hex'), file.size]], pathOf: () => real };
  }
  const root = bytePath(realpathSync(path));
  const { entries, tree } = folderEntries(store, root);
  const artefact: Artefact = { digest: namedDigest('d', bytePath(name), tree.digest), name, type: 'folder', size: tree.size, files: tree.files };
  return { artefact, entries, pathOf: ([, relative]) => (relative === '' ? root : `${root}/${relative}`) };
}

export function folderEntries(store: Store, root: string): { readonly entries: HostEntry[]; readonly tree: { readonly digest: Buffer; readonly size: number; readonly files: number } } {
  const nodes = new TreeNodes();
  const tree = store.stats.folder(Buffer.from(root, 'latin1').toString('utf8'), nodes);
  const entries: HostEntry[] = [['d', '', '', 0]];
  const walk = (digest: string, prefix: string): void => {
    for (const entry of readNode(nodes.get(digest)!)) {
      const relative = prefix + entry.name;
      const path = `${root}/${relative}`;
      if (entry.type === 'd') {
        entries.push(['d', relative, '', 0]);
        walk(entry.digest, `${relative}/`);
      } else if (entry.type === 'l') entries.push(['l', relative, readlinkSync(fsPath(path), 'latin1'), 0]);
      else entries.push([entry.type, relative, entry.digest, lstatSync(fsPath(path)).size]);
    }
  };
  walk(tree.digest.toString('hex'), '');
  return { entries, tree };
}

/** Files from anywhere as one folder: place in it → path here. Its digest is of its list. */
export function gatheredShipment(store: Store, name: string, files: ReadonlyMap<string, string>): Shipment {
  const folders = new Set<string>();
  const entries: HostEntry[] = [];
  const paths = new Map<string, string>();
  let size = 0;
  for (const [place, path] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const file = store.stats.file(path);
    if (file === null) throw new PipeError(`${path} vanished while it was being read`, { exitCode: 1, code: 'file-vanished' });
    const relative = bytePath(place);
    for (let folder = dirname(relative); folder !== '.'; folder = dirname(folder)) folders.add(folder);
    entries.push([file.type, relative, file.digest.toString('hex'), file.size]);
    paths.set(relative, bytePath(realpathSync(path)));
    size += file.size;
  }
  return listShipment(name, [['d', '', '', 0], ...[...folders].sort().map((folder): HostEntry => ['d', folder, '', 0]), ...entries], size, ([, relative]) => paths.get(relative)!);
}

export function listShipment(name: string, entries: readonly HostEntry[], size: number, pathOf: Shipment['pathOf']): Shipment {
  const files = entries.filter(([type]) => type !== 'd').length;
  const artefact: Artefact = { digest: sha256(JSON.stringify([name, entries])) as Digest, name, type: 'folder', size, files };
  return { artefact, entries, pathOf };
}
