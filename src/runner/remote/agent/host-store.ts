/**
 * The host's own store: file contents by digest, and artefacts as trees of hard links to them. No database: any number
 * of agents and supervisors work in it at once, and each thing appears by one rename.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync, closeSync, copyFileSync, existsSync, linkSync, lstatSync, mkdirSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync, writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { measureOutput } from '../../store/measure-output.ts';
import { removeTree } from '../../store/read-only-tree.ts';
import { bytePath, errorCode, fsPath, hashFile, isExecutable } from '../../store/file-bytes.ts';
import type { Artefact, Digest } from '../../store/model.ts';
import { thisProcess } from '../../run/owner.ts';
import type { HostArtefact, HostEntry } from '../protocol.ts';

/** As it lies on disk: mtimes tell whether somebody wrote to it since. */
interface Kept extends HostArtefact {
  /** After a crash of the machine what was written last may be half there: it is read once more in each boot. */
  readonly boot: string;
  readonly mtimes: readonly number[];
}

export class HostStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(folder, 'store');
    for (const name of ['blobs', 'artefacts', 'manifests', 'incoming']) mkdirSync(join(this.#folder, name), { recursive: true });
  }

  pathOf(artefact: Pick<Artefact, 'digest' | 'name'>): string {
    return join(this.#folder, 'artefacts', artefact.digest, artefact.name);
  }

  /** Those of these that are not here, or not whole. */
  missing(artefacts: readonly Digest[]): Digest[] {
    return artefacts.filter(digest => !this.#use(digest));
  }

  /** Whether it is here; the manifest's time tells when it was last used. */
  #use(digest: string): boolean {
    if (this.manifest(digest) === null) return false;
    try {
      const now = Date.now() / 1000;
      utimesSync(this.#manifestPath(digest), now, now);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      return false;
    }
    return true;
  }

  missingBlobs(entries: readonly HostEntry[]): string[] {
    const absent = new Set<string>();
    for (const [type, , content, size] of entries) {
      if (type !== 'f' && type !== 'x') continue;
      const name = blobName(type, content);
      if (!absent.has(name) && lstatSync(this.#blob(name), { throwIfNoEntry: false })?.size !== size) absent.add(name);
    }
    return [...absent];
  }

  /** The manifest of an artefact that is here and whole; what is not whole is removed with the contents it spoiled. */
  manifest(digest: string): HostArtefact | null {
    let kept: Kept;
    try {
      kept = JSON.parse(readFileSync(this.#manifestPath(digest), 'utf8')) as Kept;
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return null;
      throw error;
    }
    const root = bytePath(this.pathOf(kept.artefact));
    const sameBoot = kept.boot === thisProcess().bootId;
    const spoiled = kept.entries.filter(([type, path, content, size], index) => {
      const stat = lstatSync(fsPath(entryPath(root, path)), { throwIfNoEntry: false });
      if (stat === undefined) return true;
      if (type === 'd') return !stat.isDirectory();
      if (type === 'l') return !stat.isSymbolicLink();
      if (!stat.isFile() || stat.size !== size) return true;
      if (sameBoot && stat.mtimeMs === kept.mtimes[index]) return false;
      return hashFile(entryPath(root, path)).toString('hex') !== content;
    });
    if (spoiled.length > 0) {
      for (const [type, , content] of spoiled) if (type === 'f' || type === 'x') rmSync(this.#blob(blobName(type, content)), { force: true });
      this.#forget(kept.artefact);
      return null;
    }
    if (!sameBoot) this.#writeManifest(kept, root);
    return kept;
  }

  /** Names of the inputs that are not what they were: a stage wrote to them. */
  damaged(artefacts: readonly Artefact[]): string[] {
    return artefacts.filter(artefact => existsSync(this.#manifestPath(artefact.digest)) && this.manifest(artefact.digest) === null).map(({ name }) => name);
  }

  receive(name: string, size: number): BlobWriter {
    return new BlobWriter(join(this.#folder, 'incoming', `${process.pid}-${randomBytes(6).toString('hex')}`), this.#blob(name), name, size);
  }

  /** Puts an artefact together from contents that are here. */
  assemble({ artefact, entries }: HostArtefact): void {
    if (this.manifest(artefact.digest) !== null) return;
    const holder = join(this.#folder, 'incoming', `${process.pid}-${randomBytes(6).toString('hex')}`);
    mkdirSync(holder);
    const root = bytePath(join(holder, artefact.name));
    const folders = entries.filter(([type]) => type === 'd').map(([, path]) => entryPath(root, path)).sort();
    try {
      for (const folder of folders) mkdirSync(fsPath(folder), { recursive: true });
      for (const [type, path, content] of entries) {
        const place = entryPath(root, path);
        if (type === 'd') continue;
        if (type === 'l') symlinkSync(Buffer.from(content, 'latin1'), fsPath(place));
        else linkSync(this.#blob(blobName(type, content)), fsPath(place));
      }
      for (const folder of folders.reverse()) chmodSync(fsPath(folder), 0o555);
      this.#place(holder, artefact);
      this.#writeManifest({ artefact, entries }, bytePath(this.pathOf(artefact)));
    } finally {
      if (existsSync(holder)) removeTree(holder);
    }
  }

  /** Takes a finished output of a job in; `path` is gone afterwards. Throws PipeError for what cannot be kept. */
  async add(path: string, name: string): Promise<Artefact> {
    const { artefact, entries: measured } = await measureOutput(path, name);
    if (this.manifest(artefact.digest) !== null) return artefact;
    const root = bytePath(path);
    const entries = measured.map(({ relative, stat, digest }): HostEntry => {
      const place = entryPath(root, relative);
      if (stat.isSymbolicLink()) return ['l', relative, readlinkSync(fsPath(place), 'latin1'), 0];
      if (stat.isDirectory()) return ['d', relative, '', 0];
      return [isExecutable(stat) ? 'x' : 'f', relative, Buffer.from(digest).toString('hex'), Number(stat.size)];
    });
    for (const [type, relative, content] of entries) {
      const place = entryPath(root, relative);
      if (type !== 'f' && type !== 'x') continue;
      separateLink(place);
      chmodSync(fsPath(place), type === 'x' ? 0o555 : 0o444);
      const blob = this.#blob(blobName(type, content));
      mkdirSync(dirname(blob), { recursive: true });
      try {
        linkSync(fsPath(place), blob);
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
    const holder = join(this.#folder, 'incoming', `${process.pid}-${randomBytes(6).toString('hex')}`);
    mkdirSync(holder);
    renameSync(path, join(holder, name));
    for (const [type, relative] of entries) if (type === 'd') chmodSync(fsPath(entryPath(bytePath(join(holder, name)), relative)), 0o555);
    this.#place(holder, artefact);
    this.#writeManifest({ artefact, entries }, bytePath(this.pathOf(artefact)));
    return artefact;
  }

  blobPath(name: string): string {
    return this.#blob(name);
  }

  #place(holder: string, artefact: Artefact): void {
    const place = join(this.#folder, 'artefacts', artefact.digest);
    try {
      renameSync(holder, place);
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      // Somebody else was quicker, or it lay there without its manifest: what is here now is whole in any case.
      const old = `${holder}-old`;
      renameSync(place, old);
      renameSync(holder, place);
      removeTree(old);
    }
  }

  #forget(artefact: Artefact): void {
    rmSync(this.#manifestPath(artefact.digest), { force: true });
    const place = join(this.#folder, 'artefacts', artefact.digest);
    if (existsSync(place)) removeTree(place);
  }

  #writeManifest({ artefact, entries }: HostArtefact, root: string): void {
    const mtimes = entries.map(([type, path]) => (type === 'f' || type === 'x' ? lstatSync(fsPath(entryPath(root, path))).mtimeMs : 0));
    const kept: Kept = { artefact, entries, boot: thisProcess().bootId, mtimes };
    const temporary = `${this.#manifestPath(artefact.digest)}.${process.pid}-${randomBytes(4).toString('hex')}`;
    writeFileSync(temporary, JSON.stringify(kept));
    renameSync(temporary, this.#manifestPath(artefact.digest));
  }

  #manifestPath(digest: string): string {
    return join(this.#folder, 'manifests', `${digest}.json`);
  }

  #blob(name: string): string {
    return join(this.#folder, 'blobs', name.slice(0, 2), name);
  }
}

/** An executable file is a content of its own: hard links share their permissions. */
export const blobName = (type: 'f' | 'x', digest: string): string => (type === 'x' ? `${digest}.x` : digest);

const entryPath = (root: string, relative: string): string => (relative === '' ? root : `${root}/${relative}`);

/** A file of the output that is also a name of something else would change with it: it becomes a copy. */
function separateLink(path: string): void {
  const stat = lstatSync(fsPath(path), { throwIfNoEntry: false });
  if (stat === undefined || stat.nlink === 1) return;
  const copy = fsPath(`${path}.pipe-copy`);
  copyFileSync(fsPath(path), copy);
  renameSync(copy, fsPath(path));
}

/** One content on its way in: checked by digest while it arrives, there by one rename. */
export class BlobWriter {
  readonly name: string;
  readonly #temporary: string;
  readonly #place: string;
  readonly #size: number;
  readonly #hash = createHash('sha256');
  #descriptor: number;
  #written = 0;

  constructor(temporary: string, place: string, name: string, size: number) {
    this.name = name;
    this.#temporary = temporary;
    this.#place = place;
    this.#size = size;
    this.#descriptor = openSync(temporary, 'w', 0o600);
  }

  /** True when it is complete. Throws when the bytes are not those of its name. */
  write(bytes: Uint8Array): boolean {
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    this.#written += bytes.length;
    if (this.#written < this.#size) return false;
    closeSync(this.#descriptor);
    this.#descriptor = -1;
    const executable = this.name.endsWith('.x');
    if (this.#hash.digest('hex') !== this.name.slice(0, 64)) {
      rmSync(this.#temporary, { force: true });
      throw new Error('a file changed while it was being sent');
    }
    chmodSync(this.#temporary, executable ? 0o555 : 0o444);
    mkdirSync(dirname(this.#place), { recursive: true });
    renameSync(this.#temporary, this.#place);
    return true;
  }

  abandon(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    rmSync(this.#temporary, { force: true });
  }
}
