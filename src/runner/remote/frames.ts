/**
 * Frames over a pipe: a JSON header and some bytes. Both ends of the connection to a host speak them, in both directions;
 * a long transfer is many frames, so that others pass between them.
 */
import type { Writable } from 'node:stream';

/** No frame carries more: what is larger is sent in pieces. */
export const largestPayload = 1 << 20;

export type Header = Readonly<Record<string, unknown>>;

const prefixBytes = 8;

export class FrameWriter {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  /** Resolves when the stream needs the payload no more, so that its buffer may be used again. */
  sendWhole(header: Header, payload: Uint8Array): Promise<void> {
    return new Promise(resolve => void this.#write(header, payload, () => resolve()));
  }

  /** Resolves at once while the stream has room, else when it has again or is closed. */
  send(header: Header, payload: Uint8Array | null = null): Promise<void> {
    const stream = this.#stream;
    if (this.#write(header, payload)) return Promise.resolve();
    return new Promise(resolve => {
      const done = (): void => {
        stream.off('drain', done);
        stream.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
  }

  /** Header and payload in one go, so that nothing comes between them. True when there is room for more. */
  #write(header: Header, payload: Uint8Array | null, written: () => void = () => undefined): boolean {
    const text = Buffer.from(JSON.stringify(header));
    const head = Buffer.allocUnsafe(prefixBytes + text.length);
    head.writeUInt32LE(text.length, 0);
    head.writeUInt32LE(payload?.length ?? 0, 4);
    text.copy(head, prefixBytes);
    const stream = this.#stream;
    if (!stream.writable) {
      written();
      return true;
    }
    if (payload === null || payload.length === 0) return stream.write(head, written);
    stream.cork();
    stream.write(head);
    const room = stream.write(payload, written);
    stream.uncork();
    return room;
  }
}

/** One buffer of what came in several pieces; a payload of one piece is that piece. */
export const joined = (parts: readonly Buffer[]): Buffer => (parts.length === 1 ? parts[0]! : Buffer.concat(parts));

/** Cuts what arrives into frames; the payload handed over, in the pieces in which it came, is the receiver's to keep. */
export class FrameReader {
  readonly #onFrame: (header: Header, payload: readonly Buffer[]) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(onFrame: (header: Header, payload: readonly Buffer[]) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < prefixBytes) return;
      if (this.#chunks[0]!.length < prefixBytes) this.#chunks = [Buffer.concat(this.#chunks)];
      const first = this.#chunks[0]!;
      const headerLength = first.readUInt32LE(0);
      const payloadLength = first.readUInt32LE(4);
      if (headerLength > 1 << 28 || payloadLength > largestPayload) throw new Error('what arrived is no frame');
      const whole = prefixBytes + headerLength + payloadLength;
      if (this.#bytes < whole) return;
      const header = JSON.parse(joined(this.#take(prefixBytes + headerLength)).toString('utf8', prefixBytes)) as Header;
      this.#onFrame(header, this.#take(payloadLength));
    }
  }

  #take(count: number): Buffer[] {
    const parts: Buffer[] = [];
    this.#bytes -= count;
    for (let left = count; left > 0; ) {
      const first = this.#chunks[0]!;
      if (first.length <= left) {
        parts.push(first);
        this.#chunks.shift();
      } else {
        parts.push(first.subarray(0, left));
        this.#chunks[0] = first.subarray(left);
      }
      left -= Math.min(left, first.length);
    }
    return parts;
  }
}
