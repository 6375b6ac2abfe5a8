/** What a shared cache is to the rest: named blobs, read and written as streams. */
import type { Readable } from 'node:stream';

/** `cas/<sha256 of the bytes as stored>` or `ac/<name of a record>`: 64 lower-case hex digits each. */
export type RemoteName = `cas/${string}` | `ac/${string}`;

export interface RemoteBlob {
  /** As the server says; null when it does not. */
  readonly size: number | null;
  readonly stream: Readable;
}

export interface RemoteBody {
  readonly size: number;
  /** SHA-256 of the bytes, hex: sent as a checksum where the server checks one. */
  readonly sha256: string;
  /** Opens the bytes from their start; may be called again for another try. */
  open(): Readable;
}

/** A request that whoever has it may send, for some minutes. */
export interface PlainGet {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SharedCache {
  /** For messages: the address without credentials. */
  readonly name: string;
  /** Null when there is none. The stream ends in an error when the connection does before all has come. */
  get(name: RemoteName, signal: AbortSignal): Promise<RemoteBlob | null>;
  /** For a large blob, whose bytes are read without this client. */
  plainGet(name: RemoteName): Promise<PlainGet>;
  head(name: RemoteName, signal: AbortSignal): Promise<{ readonly size: number | null } | null>;
  /** `exists`: somebody else stored one first, and `replace` was not asked for. A server without conditions stores it. */
  put(name: RemoteName, body: RemoteBody, how: { readonly replace: boolean }, signal: AbortSignal): Promise<'stored' | 'exists'>;
  close(): void;
}

export type TroubleKind = 'unreachable' | 'timeout' | 'denied' | 'server' | 'cut';

/** The server or the way to it is at fault, not what it keeps. */
export class RemoteTrouble extends Error {
  override readonly name = 'RemoteTrouble';
  readonly kind: TroubleKind;

  constructor(kind: TroubleKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.kind = kind;
  }
}

/** What it keeps is not what it should be: wrong bytes, no signature, somebody unknown. A miss, put aside, said once. */
export class BadEntry extends Error {
  override readonly name = 'BadEntry';
  /** The blob (`cas/<stored>`) whose bytes are at fault, so that it is sent again although one of its name and size is there; else null. */
  readonly stored: string | null;

  constructor(message: string, stored: string | null = null) {
    super(message);
    this.stored = stored;
  }
}
