/** Follows a file that somebody else appends to, line by line: partial lines wait, huge ones are cut, anything may be in it. */
import { closeSync, openSync, readSync } from 'node:fs';

export interface LineTailOptions {
  /** A longer line is cut there; bytes. */
  readonly maxLine: number;
  /** At most so many bytes are read at a time, so that a flood does not hold up everything else. */
  readonly maxRead: number;
}

/** One for all: what outlives a read is copied. */
const buffer = Buffer.allocUnsafe(64 * 1024);

export class LineTail {
  readonly #file: string;
  readonly #options: LineTailOptions;
  #descriptor: number | null = null;
  #position: number;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #cut = 0;

  constructor(file: string, options: LineTailOptions = { maxLine: 64 * 1024, maxRead: 1024 * 1024 }, position = 0) {
    this.#file = file;
    this.#options = options;
    this.#position = position;
  }

  /** How many lines were longer than allowed, so far. */
  get cutLines(): number {
    return this.#cut;
  }

  /** Lines that are complete by now; `more` when there is more to read at once. A file that is not there yet has none. */
  read(): { readonly lines: string[]; readonly more: boolean } {
    const lines: string[] = [];
    if (!this.#open()) return { lines, more: false };
    let total = 0;
    while (total < this.#options.maxRead) {
      const count = readSync(this.#descriptor!, buffer, 0, Math.min(buffer.length, this.#options.maxRead), this.#position);
      if (count === 0) return { lines, more: false };
      this.#position += count;
      total += count;
      this.#split(buffer.subarray(0, count), lines);
    }
    return { lines, more: true };
  }

  /** The text after the last line break, for when the writer has ended. */
  rest(): string | null {
    if (this.#partialBytes === 0 && this.#partial.length === 0) return null;
    return this.#take();
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #open(): boolean {
    if (this.#descriptor !== null) return true;
    try {
      this.#descriptor = openSync(this.#file, 'r');
      return true;
    } catch {
      return false;
    }
  }

  #split(chunk: Buffer, lines: string[]): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      if (this.#partialBytes === 0 && end - start <= this.#options.maxLine) {
        lines.push(withoutReturn(chunk.toString('utf8', start, end)));
      } else {
        this.#keep(chunk.subarray(start, end));
        lines.push(this.#take());
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #keep(bytes: Buffer): void {
    const room = this.#options.maxLine - this.#partialBytes;
    // The chunk's buffer is used again for the next read, so what is kept is a copy.
    if (room > 0) this.#partial.push(Buffer.from(bytes.subarray(0, room)));
    this.#partialBytes += bytes.length;
  }

  #take(): string {
    if (this.#partialBytes > this.#options.maxLine) this.#cut++;
    const text = Buffer.concat(this.#partial).toString('utf8');
    this.#partial = [];
    this.#partialBytes = 0;
    return withoutReturn(text);
  }
}

const withoutReturn = (text: string): string => (text.endsWith('\r') ? text.slice(0, -1) : text);
