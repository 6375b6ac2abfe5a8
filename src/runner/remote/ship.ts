/** Sends a host what it does not have: whole artefacts are asked for first, then contents, and nothing goes twice. */
import { closeSync, openSync, readSync } from 'node:fs';
import { fsPath, shownPath } from '../store/file-bytes.ts';
import type { Digest } from '../store/model.ts';
import { largestPayload } from './frames.ts';
import type { Shipment } from './describe.ts';
import type { Host } from './host.ts';
import type { Link } from './link.ts';
import type { HostEntry } from './protocol.ts';
import { formatBytes } from '../ui/format.ts';

/** What takes so long that people wonder. */
const toldBytes = 200e6;

/** `of` describes an artefact that the host lacks. Returns the bytes that were sent. */
export async function ship(host: Host, link: Link, wanted: ReadonlyMap<Digest, () => Shipment>): Promise<number> {
  const missing = async (): Promise<Digest[]> => await link.ask<Digest[]>('missing', { artefacts: [...wanted.keys()], spare: host.settings.slurm === null });
  if ((await missing()).length === 0) return 0;
  return await host.inLane(async () => {
    const before = link.sentBytes;
    // Another cell may have sent some of it meanwhile.
    for (const digest of await missing()) {
      const shipment = wanted.get(digest)!();
      const { name, size } = shipment.artefact;
      if (size > toldBytes) host.tell(`sending ${name} to ${host.settings.name}: up to ${formatBytes(size)}, once`);
      await sendContents(link, shipment);
      await link.ask('assemble', { tree: { artefact: shipment.artefact, entries: shipment.entries } });
    }
    return link.sentBytes - before;
  });
}

async function sendContents(link: Link, shipment: Shipment): Promise<void> {
  const absent = new Set(await link.ask<string[]>('missing-blobs', { entries: shipment.entries }));
  if (absent.size === 0) return;
  for (const entry of shipment.entries) {
    const [type, , content] = entry;
    const name = type === 'x' ? `${content}.x` : content;
    if ((type !== 'f' && type !== 'x') || !absent.delete(name)) continue;
    await sendFile(link, name, entry, shipment.pathOf(entry));
  }
  await link.ask('blobs-sent');
}

async function sendFile(link: Link, name: string, [, , , size]: HostEntry, path: string): Promise<void> {
  const descriptor = openSync(fsPath(path), 'r');
  try {
    let at = 0;
    do {
      const chunk = Buffer.allocUnsafe(Math.min(largestPayload, size - at));
      const count = chunk.length === 0 ? 0 : readSync(descriptor, chunk, 0, chunk.length, at);
      if (count === 0 && size > at) throw new Error(`${shownPath(path)} became shorter while it was being sent`);
      await link.send(at === 0 ? { op: 'blob', name, size } : { op: 'chunk' }, chunk.subarray(0, count));
      at += count;
    } while (at < size);
  } finally {
    closeSync(descriptor);
  }
}
