/**
 * The bytes of a large blob, from the socket straight into a few large buffers. Node's HTTP client makes an object of every
 * 64 kB and hands it through five streams, which costs twice what hashing costs, and undici's dispatcher half as much
 * again as this (docs/benchmarks-runner.md has the numbers). Only the plainest answer is taken here: 200, with the length that is
 * awaited. For any other the ordinary client is asked.
 */
import { connect as connectPlain, isIP } from 'node:net';
import type { OnReadOpts, Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { RemoteTrouble } from './remote.ts';
import type { PlainGet } from './remote.ts';

/** Stays in the processor's cache between being received, hashed and written. */
const bufferBytes = 512 << 10;

export interface DirectOptions {
  /** PEM of a certificate authority of one's own; null: those that Node knows. */
  readonly ca: string | null;
  /** Milliseconds without a sign of life. */
  readonly timeoutMs: number;
}

/** Keeps connections for the next blob of the same server. */
export class DirectGets {
  readonly #options: DirectOptions;
  readonly #idle = new Map<string, Connection[]>();

  constructor(options: DirectOptions) {
    this.#options = options;
  }

  /**
   * Hands on `size` bytes, piece by piece; each is read over when `take` has resolved. False, and nothing handed on, when
   * the answer is another than the plain one. Throws what `take` throws, and RemoteTrouble or an error of the network.
   */
  async get(request: PlainGet, size: number, take: (bytes: Buffer) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    const { origin } = new URL(request.url);
    for (;;) {
      const kept = this.#idle.get(origin)?.pop();
      const connection = kept ?? new Connection(request.url, this.#options);
      const stop = (): void => connection.destroy(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      let whole = false;
      try {
        signal.throwIfAborted();
        if (!(await connection.ask(request, size))) return false;
        for (let left = size; left > 0;) {
          const bytes = await connection.next();
          await take(bytes);
          connection.release();
          left -= bytes.length;
        }
        whole = true;
        return true;
      } catch (error) {
        // A kept connection that the server has closed meanwhile is no failure.
        if (kept === undefined || connection.heard || signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', stop);
        if (whole && connection.reusable) this.#idle.set(origin, [...(this.#idle.get(origin) ?? []), connection]);
        else connection.destroy();
      }
    }
  }

  close(): void {
    for (const connections of this.#idle.values()) for (const connection of connections) connection.destroy();
    this.#idle.clear();
  }
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Asked {
  readonly size: number;
  left: number;
  /** Null until the head of the answer is there. */
  plain: boolean | null;
  /** The connection can be asked again after it. */
  keeps: boolean;
}

class Connection {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  /** Is being filled; from where its bytes are of use, and up to where it is filled. */
  #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #from = 0;
  #filled = 0;
  /** Filled and not yet released, the whole buffer and what of it is of use. */
  readonly #full: { readonly buffer: Buffer<ArrayBuffer>; readonly bytes: Buffer }[] = [];
  readonly #free: Buffer<ArrayBuffer>[] = [];
  #stands = false;
  #failure: Error | null = null;
  #waiting: Waiting | null = null;
  #asked: Asked | null = null;
  /** Something has come since it was asked. */
  heard = false;

  constructor(url: string, { ca, timeoutMs }: DirectOptions) {
    const { protocol, hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    this.#timeoutMs = timeoutMs;
    const onread: OnReadOpts = { buffer: () => this.#buffer.subarray(this.#filled), callback: count => this.#came(count) };
    if (protocol === 'https:') {
      // Its declared options leave out `onread`, which it hands on to the socket.
      const secure = { host, port: Number(port || 443), ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === null ? {} : { ca }), ALPNProtocols: ['http/1.1'], onread };
      this.#socket = connectSecure(secure);
    } else this.#socket = connectPlain({ host, port: Number(port || 80), onread });
    this.#socket.setNoDelay(true);
    this.#socket.on('timeout', () => {
      // It is this side that does not read.
      if (this.#stands) this.#socket.setTimeout(this.#timeoutMs);
      else this.destroy(new RemoteTrouble('timeout', `GET ${hostname}: nothing came for ${this.#timeoutMs / 1000} s`));
    });
    this.#socket.on('error', error => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new RemoteTrouble('cut', 'the connection was cut')));
  }

  get reusable(): boolean {
    return this.#failure === null && this.#asked?.keeps === true && this.#filled === this.#from && this.#full.length === 0;
  }

  /** Whether the answer is plain and its bytes follow. */
  async ask({ url, headers }: PlainGet, size: number): Promise<boolean> {
    const { pathname, search, host } = new URL(url);
    const lines = Object.entries({ host, ...headers, connection: 'keep-alive' }).map(([name, value]) => `${name}: ${value}`);
    if (lines.some(line => /[\r\n]/.test(line))) return false;
    this.heard = false;
    this.#asked = { size, left: size, plain: null, keeps: false };
    this.#socket.setTimeout(this.#timeoutMs);
    this.#socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    while (this.#asked.plain === null) await this.#change();
    return this.#asked.plain;
  }

  /** The next bytes; they stay as they are until they are released. */
  async next(): Promise<Buffer> {
    while (this.#full.length === 0) await this.#change();
    return this.#full[0]!.bytes;
  }

  release(): void {
    const { buffer } = this.#full.shift()!;
    this.#free.push(buffer);
    if (!this.#stands) return;
    this.#stands = false;
    this.#socket.setTimeout(this.#timeoutMs);
    this.#socket.resume();
  }

  destroy(reason?: unknown): void {
    this.#fail(reason instanceof Error ? reason : new RemoteTrouble('cut', 'the connection was ended'));
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = null;
  }

  #change(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => void (this.#waiting = { resolve, reject }));
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  /** So many bytes more are in the buffer. False: read no more for now. */
  #came(count: number): boolean {
    const asked = this.#asked;
    this.heard = true;
    this.#filled += count;
    if (asked === null) {
      // Nobody has asked for anything.
      this.destroy();
      return false;
    }
    if (asked.plain === null) {
      this.#readHead(asked);
      if (asked.plain === null && this.#filled < bufferBytes) return true;
      asked.plain ??= false;
      this.#wake();
      if (!asked.plain) return false;
    }
    const have = this.#filled - this.#from;
    if (have < asked.left && this.#filled < bufferBytes) return true;
    // More than was announced is no answer to this.
    if (have > asked.left) asked.keeps = false;
    const bytes = this.#buffer.subarray(this.#from, this.#from + Math.min(have, asked.left));
    asked.left -= bytes.length;
    if (bytes.length > 0) {
      this.#full.push({ buffer: this.#buffer, bytes });
      // TLS hands on what it has decrypted even to a reader that stands: never into a buffer that somebody still reads.
      this.#buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    }
    this.#from = 0;
    this.#filled = 0;
    this.#wake();
    this.#stands = this.#full.length > 1;
    return !this.#stands;
  }

  #readHead(asked: Asked): void {
    const bytes = this.#buffer.subarray(0, this.#filled);
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [status = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const headers = new Map(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    asked.plain = /^HTTP\/1\.1 200( |$)/.test(status) && headers.get('content-length') === String(asked.size)
      && !headers.has('transfer-encoding') && !headers.has('content-encoding');
    asked.keeps = headers.get('connection')?.toLowerCase() !== 'close';
    this.#from = end + 4;
  }
}
