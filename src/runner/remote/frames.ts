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

  /** Resolves at once while the stream has room, else when it has again or is closed. */
  send(header: Header, payload: Uint8Array | null = null): Promise<void> {
    const text = Buffer.from(JSON.stringify(header));
    const head = Buffer.allocUnsafe(prefixBytes + text.length);
    head.writeUInt32LE(text.length, 0);
    head.writeUInt32LE(payload?.length ?? 0, 4);
    text.copy(head, prefixBytes);
    const stream = this.#stream;
    if (!stream.writable) return Promise.resolve();
    let room = stream.write(head);
    if (payload !== null && payload.length > 0) room = stream.write(payload);
    if (room) return Promise.resolve();
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
}

/** Cuts what arrives into frames; the payload handed over is the receiver's to keep. */
export class FrameReader {
  readonly #onFrame: (header: Header, payload: Buffer) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(onFrame: (header: Header, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < prefixBytes) return;
      if (this.#chunks[0]!.length < prefixBytes) this.#join();
      const first = this.#chunks[0]!;
      const headerLength = first.readUInt32LE(0);
      const payloadLength = first.readUInt32LE(4);
      if (headerLength > 1 << 28 || payloadLength > largestPayload) throw new Error('what arrived is no frame');
      const whole = prefixBytes + headerLength + payloadLength;
      if (this.#bytes < whole) return;
      if (first.length < whole) this.#join();
      const frame = this.#chunks[0]!;
      const header = JSON.parse(frame.toString('utf8', prefixBytes, prefixBytes + headerLength)) as Header;
      const payload = frame.subarray(prefixBytes + headerLength, whole);
      if (frame.length === whole) this.#chunks.shift();
      else this.#chunks[0] = frame.subarray(whole);
      this.#bytes -= whole;
      this.#onFrame(header, payload);
    }
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
