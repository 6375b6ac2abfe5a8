/** Processes that are told what to do, a JSON line each, and answer with a JSON line: one program's side of a comparison. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** @type {Set<Worker>} */
const running = new Set();

export class Worker {
  #child;
  #lines;
  #error = '';

  /** @param {readonly string[]} command @param {Readonly<Record<string, string>>} [env] */
  constructor([program = '', ...args], env = {}) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.on('data', data => (this.#error = `${this.#error}${data}`.slice(-3000)));
    this.#child.stdin.on('error', () => {}); // the end of the child says more
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    running.add(this);
  }

  /**
   * Throws, with what the program wrote to stderr, when it ends instead of answering.
   * @param {object} command
   * @returns {Promise<any>}
   */
  async ask(command) {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) {
        if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
        throw new Error(`${this.#child.spawnargs.slice(0, 2).join(' ')} ended with ${this.#child.signalCode ?? this.#child.exitCode}:\n${this.#error}`);
      }
      if (!value.startsWith('{"answer":')) continue; // a library that talks
      return JSON.parse(value).answer;
    }
  }

  async end() {
    running.delete(this);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}

export const endWorkers = () => Promise.all([...running].map(worker => worker.end()));
