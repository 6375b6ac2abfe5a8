/** A command that waits for the test: a named pipe, so that neither side ever sleeps. */
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

export class Gate {
  readonly #path: string;

  constructor(folder: string, name: string) {
    this.#path = join(folder, `${name}.gate`);
    execFileSync('mkfifo', [this.#path]);
  }

  /** Shell text that waits here until the test opens the gate. */
  get wait(): string {
    return `cat '${this.#path}' > /dev/null`;
  }

  /** Resolves when a command has come to the gate; what it gives lets that one through. */
  async reached(): Promise<() => Promise<void>> {
    // Opening a named pipe for writing waits for its reader.
    const writer = await open(this.#path, 'w');
    return () => writer.close();
  }

  async pass(): Promise<void> {
    await (await this.reached())();
  }
}
