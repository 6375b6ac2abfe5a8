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
  const sender = new ContentSender(link);
  for (const entry of shipment.entries) {
    const [type, , content] = entry;
    const name = type === 'x' ? `${content}.x` : content;
    if ((type !== 'f' && type !== 'x') || !absent.delete(name)) continue;
    await sender.sendFile(name, entry, shipment.pathOf(entry));
  }
  await sender.flush();
  await link.ask('blobs-sent');
}

/** Reads into one buffer while the other is on its way: a new one for each piece would cost more than all else here. */
class ContentSender {
  readonly #link: Link;
  readonly #buffers = [0, 1].map(() => ({ bytes: Buffer.allocUnsafe(largestPayload), free: Promise.resolve() }));
  #next = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  async sendFile(name: string, [, , , size]: HostEntry, path: string): Promise<void> {
    const descriptor = openSync(fsPath(path), 'r');
    try {
      let at = 0;
      do {
        const buffer = this.#buffers[this.#next++ % this.#buffers.length]!;
        await buffer.free;
        const count = size === 0 ? 0 : readSync(descriptor, buffer.bytes, 0, Math.min(largestPayload, size - at), at);
        if (count === 0 && size > at) throw new Error(`${shownPath(path)} became shorter while it was being sent`);
        buffer.free = this.#link.send(at === 0 ? { op: 'blob', name, size } : { op: 'chunk' }, buffer.bytes.subarray(0, count));
        // Told by the one who waits for the buffer.
        buffer.free.catch(() => undefined);
        at += count;
      } while (at < size);
    } finally {
      closeSync(descriptor);
    }
  }

  async flush(): Promise<void> {
    await Promise.all(this.#buffers.map(({ free }) => free));
  }
}
