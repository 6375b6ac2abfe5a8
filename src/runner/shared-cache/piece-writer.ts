/** Cuts what a piece holds into its files, checking each by size and digest before the next begins. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { fsPath, shownPath } from '../store/file-bytes.ts';
import { LocalTrouble } from './blob-download.ts';
import type { Piece, PieceFile } from './contents.ts';
import { BadEntry } from './remote.ts';

export class PieceWriter extends Writable {
  readonly #piece: Piece;
  readonly #pathOf: (file: PieceFile) => string;
  /** The digest of what is stored is that of the file, and is checked where it arrives. */
  readonly #checkedBefore: boolean;
  #next = 0;
  #file: FileHandle | null = null;
  #hash: Hash | null = null;
  #left = 0;
  /** What is being done about files. */
  #work: Promise<void> = Promise.resolve();

  /** `pathOf` gives the byte path to write a file to; its folder is there. */
  constructor(piece: Piece, pathOf: (file: PieceFile) => string) {
    super({ highWaterMark: 4 << 20 });
    this.#piece = piece;
    this.#pathOf = pathOf;
    this.#checkedBefore = piece.encoding === 'identity' && piece.files.length === 1 && piece.files[0]?.digest === piece.stored;
  }

  override _construct(done: (error?: Error | null) => void): void {
    this.#do(this.#openNext(), done);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#do(this.#take([chunk]), done);
  }

  /** What has gathered while the last write went on goes out at once. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#do(this.#take(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    done(this.#next <= this.#piece.files.length - 1 || this.#file !== null ? new BadEntry('its content ends before its last file') : null);
  }

  /** Waits for what is being done: whoever knows this as closed may remove its files. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    void this.#work.then(async () => await this.#file?.close()).catch(() => undefined).then(() => done(error));
  }

  #do(work: Promise<void>, done: (error?: Error | null) => void): void {
    this.#work = work.catch(() => undefined);
    work.then(() => done(), done);
  }

  async #take(chunks: readonly Buffer[]): Promise<void> {
    let rest = chunks.filter(({ length }) => length > 0);
    while (rest.length > 0 && !this.destroyed) {
      if (this.#file === null) throw new BadEntry('its content goes on after its last file');
      const [mine, others] = split(rest, this.#left);
      if (this.#hash !== null) for (const part of mine) this.#hash.update(part);
      await this.#write(this.#file, mine);
      this.#left -= mine.reduce((sum, { length }) => sum + length, 0);
      rest = others;
      if (this.#left === 0) await this.#finishFile();
    }
  }

  async #write(file: FileHandle, parts: Buffer[]): Promise<void> {
    try {
      let left = parts;
      while (left.length > 0) {
        const { bytesWritten } = await file.writev(left);
        left = split(left, bytesWritten)[1];
      }
    } catch (error) {
      throw new LocalTrouble(`${shownPath(this.#pathOf(this.#piece.files[this.#next - 1]!))} cannot be written: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  async #finishFile(): Promise<void> {
    const file = this.#piece.files[this.#next - 1]!;
    if (this.#hash !== null && this.#hash.digest('hex') !== file.digest) throw new BadEntry(`${shownPath(file.path)} has another content than its digest says`);
    await this.#closeFile();
    await this.#openNext();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file!;
    this.#file = null;
    try {
      await file.close();
    } catch (error) {
      throw new LocalTrouble(`what came cannot be written: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }

  /** Empty files have no bytes to wait for. */
  async #openNext(): Promise<void> {
    while (!this.destroyed) {
      const file = this.#piece.files[this.#next++];
      if (file === undefined) return;
      try {
        // Never through a link, never over what is there.
        this.#file = await open(fsPath(this.#pathOf(file)), 'wx', file.executable ? 0o755 : 0o644);
      } catch (error) {
        throw new LocalTrouble(`${shownPath(file.path)} cannot be written: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      this.#left = file.size;
      this.#hash = this.#checkedBefore ? null : createHash('sha256');
      if (this.#left > 0) return;
      if (this.#hash !== null && this.#hash.digest('hex') !== file.digest) throw new BadEntry(`${shownPath(file.path)} should not be empty`);
      await this.#closeFile();
    }
  }
}

/** The first so many bytes, and the others. */
function split(chunks: readonly Buffer[], bytes: number): [Buffer[], Buffer[]] {
  const first: Buffer[] = [];
  let left = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (chunk.length <= left) {
      first.push(chunk);
      left -= chunk.length;
      continue;
    }
    if (left > 0) first.push(chunk.subarray(0, left));
    return [first, [chunk.subarray(left), ...chunks.slice(index + 1)]];
  }
  return [first, []];
}
