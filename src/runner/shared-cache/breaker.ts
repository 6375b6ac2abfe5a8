/** Asks no more of a server that has failed several times in a row: what that costs a run is bounded, and said once. */
import { RemoteTrouble } from './remote.ts';

const mostFailures = 3;

export class Breaker {
  readonly #say: (text: string) => void;
  readonly #what: string;
  #failures = 0;
  #open = false;
  #said = false;

  /** `what` says what follows from a failure; it is told with the first one. */
  constructor(what: string, say: (text: string) => void) {
    this.#what = what;
    this.#say = say;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Passes on what `ask` gives; a failure of the server or the way to it counts, anything else shows that it is well. */
  async guard<T>(ask: () => Promise<T>): Promise<T> {
    try {
      const result = await ask();
      this.#failures = 0;
      return result;
    } catch (error) {
      if (error instanceof RemoteTrouble) this.#fail(error);
      throw error;
    }
  }

  #fail(error: RemoteTrouble): void {
    this.#failures++;
    // A wrong password does not become right by asking again.
    if (this.#failures >= mostFailures || error.kind === 'denied') this.#open = true;
    if (!this.#said) this.#say(`the shared cache: ${error.message}; ${this.#what}`);
    this.#said = true;
  }
}
