/** Tells what a running stage writes into its log; of a flood only a part, since the file has it all. */
import type { EmitEvent } from './event.ts';
import { LineTail } from './line-tail.ts';
import { printable } from './log-file.ts';

const intervalMs = 200;
/** Lines a second that people or programs behind a pipe can be expected to take. */
const linesPerRead = 400;

export class LogFollower {
  readonly #tail: LineTail;
  readonly #cell: string;
  readonly #emit: EmitEvent;
  #timer: NodeJS.Timeout | null = null;
  #leftOut = 0;

  constructor(file: string, cell: string, emit: EmitEvent) {
    this.#tail = new LineTail(file, { maxLine: 8192, maxRead: 512 * 1024 });
    this.#cell = cell;
    this.#emit = emit;
    this.#schedule();
  }

  /** Tells the rest; to be called when the stage has ended. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    while (this.#read()) await new Promise<void>(resolve => setImmediate(resolve));
    const rest = this.#tail.rest();
    if (rest !== null) this.#tell(rest);
    this.#tail.close();
    this.#tellLeftOut();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#read();
      this.#schedule();
    }, intervalMs).unref();
  }

  #read(): boolean {
    const { lines, more } = this.#tail.read();
    if (lines.length > 0) this.#tellLeftOut();
    for (const line of lines.slice(0, linesPerRead)) this.#tell(line);
    this.#leftOut += Math.max(0, lines.length - linesPerRead);
    return more;
  }

  #tellLeftOut(): void {
    if (this.#leftOut > 0) this.#tell(`… ${this.#leftOut.toLocaleString('en')} lines are in the log file only`);
    this.#leftOut = 0;
  }

  #tell(line: string): void {
    this.#emit({ event: 'log', cell: this.#cell, text: printable(line) });
  }
}
