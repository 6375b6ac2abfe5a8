/** Fetches a checkpoint from a host, in place of what lies here. */
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CheckpointFetched } from '../run/move-checkpoint.ts';
import { removeTree } from '../store/read-only-tree.ts';
import type { Store } from '../store/store.ts';
import { formatBytes } from '../ui/format.ts';
import { pathShipment } from './describe.ts';
import type { Link } from './link.ts';
import type { HostCheckpoint } from './protocol.ts';
import { pullTree } from './pull.ts';

/** `name` is that of its job; `most`: bytes. */
export async function pullCheckpoint(link: Link, store: Store, name: string, folder: string, most: number): Promise<CheckpointFetched> {
  const found = await link.ask<HostCheckpoint>('checkpoint', { name, most });
  switch (found.kind) {
    case 'none':
      return { came: false, why: null };
    case 'in-use':
      return { came: false, why: 'it is still being run there' };
    case 'too-large':
      return { came: false, why: `it has ${formatBytes(found.bytes)}, and \`checkpoint:\` of the hosts file allows ${formatBytes(most)}` };
    case 'there':
  }
  if (existsSync(folder) && readdirSync(folder).length > 0 && pathShipment(store, folder).artefact.digest === found.tree.artefact.digest) return { came: true };
  const incoming = join(store.cache, 'work', `.checkpoint-${name.slice(0, 16)}`, name);
  if (existsSync(dirname(incoming))) removeTree(dirname(incoming));
  mkdirSync(dirname(incoming), { recursive: true });
  try {
    await pullTree(link, found.tree, incoming, { checkpoint: name });
    if (pathShipment(store, incoming).artefact.digest !== found.tree.artefact.digest) throw new Error('what arrived of it is not what its digest says');
    if (existsSync(folder)) removeTree(folder);
    renameSync(incoming, folder);
  } finally {
    removeTree(dirname(incoming));
  }
  return { came: true };
}
