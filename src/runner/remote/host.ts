/** A host as the parts of a run share it: one connection, made when it is first needed and again whenever it is lost. */
import type { HostSettings } from '../hosts/model.ts';
import { PipeError } from '../diagnostic.ts';
import { connect, HostUnusable } from './connect.ts';
import { ConnectionLost } from './link.ts';
import type { Link } from './link.ts';
import type { HostPrograms } from './programs.ts';

const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** A host that has never answered in this run is most likely named wrongly or switched off. */
const firstPatienceMs = 15_000;

export class Host {
  readonly settings: HostSettings;
  readonly #programs: HostPrograms;
  readonly #notice: (text: string) => void;
  #link: Promise<Link> | null = null;
  #everConnected = false;
  #closed = false;
  #lane: Promise<unknown> = Promise.resolve();
  /** How often a connection was lost. */
  losses = 0;

  constructor(settings: HostSettings, programs: HostPrograms, notice: (text: string) => void) {
    this.settings = settings;
    this.#programs = programs;
    this.#notice = notice;
  }

  /**
   * The connection. Throws PipeError when the host cannot be used, or does not answer for longer than its patience;
   * rejects with the signal's reason when that is aborted.
   */
  link(signal: AbortSignal): Promise<Link> {
    this.#link ??= this.#connect(signal).then(
      link => {
        this.#everConnected = true;
        void link.closed.then(() => {
          this.#link = null;
          if (!this.#closed) this.losses++;
        });
        return link;
      },
      (error: unknown) => {
        this.#link = null;
        throw error;
      },
    );
    return this.#link;
  }

  /** Tells people. */
  tell(text: string): void {
    this.#notice(text);
  }

  /** Does it over a connection, and again over another one when that is lost: for work that may be done twice. */
  async using<T>(signal: AbortSignal, work: (link: Link) => Promise<T>): Promise<T> {
    for (;;) {
      const link = await this.link(signal);
      try {
        return await work(link);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (signal.aborted) throw error;
      }
    }
  }

  /** One sending of contents at a time. */
  async inLane<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#lane;
    let done: () => void = () => undefined;
    this.#lane = new Promise<void>(resolve => (done = resolve));
    await before;
    try {
      return await work();
    } finally {
      done();
    }
  }

  async #connect(signal: AbortSignal): Promise<Link> {
    const { name, patienceMs } = this.settings;
    const patience = this.#everConnected ? patienceMs : Math.min(patienceMs, firstPatienceMs);
    const since = performance.now();
    let told = false;
    for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
      try {
        const link = await connect(this.settings, this.#programs, this.#notice);
        if (told) this.#notice(`${name} answers again`);
        return link;
      } catch (error) {
        // One that has answered in this run is not unusable because of a moment's trouble, but a full disk stays one.
        if (error instanceof HostUnusable && (!this.#everConnected || error.code === 'disk-full')) throw error;
        const why = error instanceof Error ? error.message : String(error);
        if (performance.now() - since > patience) {
          throw new PipeError(`${name} does not answer: ${why}`, { exitCode: 3, code: 'host-unreachable', hint: `try \`ssh\` with its settings in pipe.hosts.yaml by hand${this.#everConnected ? '; what runs there goes on, and the next run takes its result' : ''}`, cause: error });
        }
        if (!told && this.#everConnected) this.#notice(`the connection to ${name} is lost (${why}); what runs there goes on, and it is tried again`);
        told = true;
        await pauseFor(pause, signal);
        if (signal.aborted) throw error;
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const link = await this.#link?.catch(() => null);
    await link?.close();
  }
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    if (signal.aborted) done();
  });
}
