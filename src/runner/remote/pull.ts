/** Fetches artefacts from a host, each content checked against its digest while it arrives. */
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '../store/read-only-tree.ts';
import { bytePath, fsPath } from '../store/file-bytes.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import type { Link } from './link.ts';
import type { HostArtefact, HostEntry } from './protocol.ts';

/** The host does not have it (any more). */
export class NotThere extends Error {
  override readonly name = 'NotThere';
}

/** Writes it to `path`, where nothing may be yet. */
export async function pull(link: Link, artefact: Artefact, path: string): Promise<void> {
  const there = await link.ask<HostArtefact | null>('manifest', { digest: artefact.digest });
  if (there === null) throw new NotThere(`${artefact.name} is not there any more`);
  await pullTree(link, there, path, {});
}

/** `where`: what the host has to know to find its contents. */
export async function pullTree(link: Link, there: HostArtefact, path: string, where: { readonly checkpoint?: string }): Promise<void> {
  const root = bytePath(path);
  const place = ([, relative]: HostEntry): string => (relative === '' ? root : checked(root, relative));
  for (const entry of there.entries) if (entry[0] === 'd') mkdirSync(fsPath(place(entry)), { recursive: true });
  const files = there.entries.filter(([type]) => type === 'f' || type === 'x');
  const writer = new FilesWriter(files, place);
  try {
    await link.ask('read', { entries: files, ...where }, bytes => writer.write(bytes));
    writer.finish();
  } finally {
    writer.close();
  }
  for (const entry of there.entries) if (entry[0] === 'l') symlinkSync(Buffer.from(entry[2], 'latin1'), fsPath(place(entry)));
}

/** The same into the store here. Throws when what arrived is not what its digest says. */
export async function pullIntoStore(link: Link, store: Store, artefact: Artefact): Promise<void> {
  const folder = join(store.cache, 'work', `.pull-${process.pid}-${artefact.digest.slice(0, 16)}`);
  if (existsSync(folder)) removeTree(folder);
  mkdirSync(folder, { recursive: true });
  try {
    const path = join(folder, artefact.name);
    await pull(link, artefact, path);
    const added = await store.artefacts.add(path, artefact.name);
    if (added.digest !== artefact.digest) throw new Error(`what arrived of ${artefact.name} is not what its digest says`);
  } finally {
    if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  }
}

/** A host may say what it likes about paths. */
function checked(root: string, relative: string): string {
  if (relative.startsWith('/') || relative.split('/').some(part => part === '..' || part === '.' || part === '')) throw new Error(`a host named the path ${relative}`);
  return `${root}/${relative}`;
}

class FilesWriter {
  readonly #files: readonly HostEntry[];
  readonly #place: (entry: HostEntry) => string;
  #next = 0;
  #descriptor = -1;
  #left = 0;
  #hash = createHash('sha256');

  constructor(files: readonly HostEntry[], place: (entry: HostEntry) => string) {
    this.#files = files;
    this.#place = place;
  }

  /** A frame belongs to one file; an empty file has an empty one. */
  write(bytes: Buffer): void {
    if (this.#descriptor < 0) this.#open();
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#hash.update(bytes);
    this.#left -= bytes.length;
    if (this.#left <= 0) this.#done();
  }

  finish(): void {
    if (this.#descriptor >= 0 || this.#next < this.#files.length) throw new Error('the host sent less than there is');
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  #open(): void {
    const entry = this.#files[this.#next];
    if (entry === undefined) throw new Error('the host sent more than there is');
    this.#descriptor = openSync(fsPath(this.#place(entry)), 'wx', entry[0] === 'x' ? 0o755 : 0o644);
    this.#left = entry[3];
    this.#hash = createHash('sha256');
  }

  #done(): void {
    const entry = this.#files[this.#next++]!;
    closeSync(this.#descriptor);
    this.#descriptor = -1;
    if (this.#hash.digest('hex') !== entry[2]) throw new Error('a content that arrived is not what its digest says');
    if (entry[0] === 'x') chmodSync(fsPath(this.#place(entry)), 0o755);
  }
}
