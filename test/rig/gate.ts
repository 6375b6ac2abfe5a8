/** A command that waits for the test: two named pipes, so that neither side ever sleeps. */
import { execFileSync } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export class Gate {
  readonly #here: string;
  readonly #go: string;

  constructor(folder: string, name: string) {
    this.#here = join(folder, `${name}.here`);
    this.#go = join(folder, `${name}.go`);
    execFileSync('mkfifo', [this.#here, this.#go]);
  }

  /** Shell text that says it is there and waits until the test opens the gate. */
  get wait(): string {
    return `${this.say}; cat '${this.#go}' > /dev/null`;
  }

  /** Shell text that only says it is there. */
  get say(): string {
    return `echo > '${this.#here}'`;
  }

  /** For a command in another language: it writes something to this pipe to say that it is there. */
  get here(): string {
    return this.#here;
  }

  /** Resolves when a command has come to the gate. */
  async arrived(): Promise<void> {
    await readFile(this.#here);
  }

  /** Resolves when a command has come to the gate; what it gives lets that one through. */
  async reached(): Promise<() => Promise<void>> {
    // Opening a named pipe waits for the other side. Two of them, lest the next one be let through by this one's end.
    await this.arrived();
    return async () => (await open(this.#go, 'w')).close();
  }

  async pass(): Promise<void> {
    await (await this.reached())();
  }
}
