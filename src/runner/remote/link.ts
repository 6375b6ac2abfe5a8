/** One connection to a host, with an agent at its other end: questions and answers, contents, and what jobs tell. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { FrameReader, FrameWriter, joined } from './frames.ts';
import type { Header } from './frames.ts';
import { greeting } from './protocol.ts';
import type { HostTrouble } from './protocol.ts';

/** The connection is gone; what was asked may or may not have been done. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The host did not do it, and says why. */
export class HostRefusal extends Error {
  override readonly name = 'HostRefusal';
  readonly code: string | null;

  constructor({ message, code }: HostTrouble) {
    super(message);
    this.code = code;
  }
}

/** Frames about a job: `state`, `wants`, or bytes of its `log` or `events`. */
export type JobFrame = (header: Header, payload: Buffer) => void;

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onData: ((bytes: Buffer) => void) | null;
}

export class Link {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #writer: FrameWriter;
  readonly #pending = new Map<number, Pending>();
  readonly #jobs = new Map<string, Set<JobFrame>>();
  #next = 1;
  #lost: ConnectionLost | null = null;
  /** Bytes of contents that were sent. */
  sentBytes = 0;
  /** Settles when the connection is gone. */
  readonly closed: Promise<ConnectionLost>;

  private constructor(child: ChildProcessWithoutNullStreams, closed: Promise<ConnectionLost>) {
    this.#child = child;
    this.#writer = new FrameWriter(child.stdin);
    this.closed = closed.then(error => {
      this.#lost = error;
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      return error;
    });
  }

  /** Waits for the agent's greeting. Resolves to what was said instead when the process ends before it. */
  static async open(child: ChildProcessWithoutNullStreams): Promise<Link | { readonly stdout: string; readonly stderr: string }> {
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
    child.stdin.on('error', () => undefined);
    let before: Buffer = Buffer.alloc(0);
    let link: Link | null = null;
    const reader = new FrameReader((header, payload) => link?.take(header, payload));
    let failed: Error | null = null;
    const closed = new Promise<ConnectionLost>(resolve => {
      child.once('error', error => resolve(new ConnectionLost(error.message)));
      child.once('close', code => resolve(new ConnectionLost(failed?.message ?? lastLine(stderr) ?? `the connection ended${code === null ? '' : ` (${code})`}`)));
    });
    const greeted = new Promise<boolean>(resolve => {
      child.stdout.on('data', (chunk: Buffer) => {
        let rest: Buffer = chunk;
        if (link === null) {
          before = Buffer.concat([before, chunk]);
          const at = before.indexOf(greeting);
          if (at < 0) return;
          rest = before.subarray(at + greeting.length);
          link = new Link(child, closed);
          resolve(true);
        }
        try {
          if (rest.length > 0) reader.push(rest);
        } catch (error) {
          failed = error instanceof Error ? error : new Error(String(error));
          child.kill('SIGKILL');
        }
      });
      void closed.then(() => resolve(false));
    });
    if (await greeted) return link!;
    await closed;
    return { stdout: before.toString('utf8'), stderr };
  }

  get alive(): boolean {
    return this.#lost === null;
  }

  /** Throws HostRefusal for what the host could not do, ConnectionLost when there is no answer. */
  async ask<T>(op: string, words: Header = {}, onData: ((bytes: Buffer) => void) | null = null): Promise<T> {
    if (this.#lost !== null) throw this.#lost;
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject, onData }));
    // Together: a connection that goes while the question is being sent ends the answer first.
    const [, said] = await Promise.all([this.#writer.send({ ...words, op, id }), answer]);
    return said as T;
  }

  /** Part of a content; resolves when its buffer may be used again. */
  async send(header: Header, payload: Uint8Array): Promise<void> {
    if (this.#lost !== null) throw this.#lost;
    this.sentBytes += payload.length;
    await this.#writer.sendWhole(header, payload);
  }

  listen(job: string, frame: JobFrame): () => void {
    const there = this.#jobs.get(job) ?? new Set();
    this.#jobs.set(job, there.add(frame));
    return () => void there.delete(frame);
  }

  /** Ends the connection; jobs go on. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    // All that was asked has been answered: nobody has to wait for a farewell.
    this.#child.kill('SIGTERM');
    await this.closed;
  }

  private take(header: Header, payload: readonly Buffer[]): void {
    if (typeof header.job === 'string') {
      for (const frame of this.#jobs.get(header.job) ?? []) frame(header, joined(payload));
      return;
    }
    if (typeof header.data === 'number') {
      const onData = this.#pending.get(header.data)?.onData;
      if (payload.length === 0) onData?.(Buffer.alloc(0));
      else for (const part of payload) onData?.(part);
      return;
    }
    const pending = this.#pending.get(header.id as number);
    this.#pending.delete(header.id as number);
    if (header.trouble !== undefined) pending?.reject(new HostRefusal(header.trouble as HostTrouble));
    else pending?.resolve(header.ok);
  }
}

export function lastLine(text: string): string | null {
  return text.split('\n').map(line => line.trim()).filter(line => line !== '' && !line.startsWith('Warning: Permanently added')).at(-1) ?? null;
}
