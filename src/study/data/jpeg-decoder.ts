import type { Fit } from './decode-image.ts';
import { jpegColours } from './jpeg-profile.ts';
import type { JpegColours } from './jpeg-profile.ts';
import { jpegWasm } from './jpeg-wasm.ts';

/** WebAssembly as far as it is needed: TypeScript has its types among a browser's only. */
interface WebAssemblyParts {
  readonly Module: new (binary: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
  readonly RuntimeError: new () => Error;
}
const { Module, Instance, RuntimeError } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyParts }).WebAssembly;

/** What assembly/jpeg/decode.ts exports. */
interface Decoder {
  readonly memory: { readonly buffer: ArrayBuffer };
  input(length: number): number;
  decode(size: number, fit: number): number;
  output(): number;
  hasProfile(): number;
  outOfMemory(): number;
}

const fits = { crop: 0, pad: 1, squeeze: 2 } as const;
const done = 0;

let module: object | null = null;
let decoder: Decoder | null = null;

/** Pixels `[resolution × resolution × 3]` before their colour profile, null where another decoder has to look; and that profile. */
export interface JpegSquare {
  readonly pixels: Uint8Array<ArrayBuffer> | null;
  readonly colours: JpegColours | null;
}

/** Whether these are the first bytes of a JPEG file. */
const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;

/**
 * Decodes a JPEG file of 8 bits, grey or YCbCr, sequential or progressive, into a square of RGB `[resolution × resolution × 3]`.
 * Only the frequencies that can still be seen at that size are transformed: a picture is brought down to a half, a quarter or an
 * eighth in this way as long as it stays twice the square's size (its colours: as large as the square), and from there by
 * antialiased bicubic interpolation. Integers in WebAssembly, so the bytes are the same on every machine.
 *
 * @param profileKnown that the caller sees to the colour profile, if there is one; a file whose profile nobody sees to is not decoded
 * @returns null for whatever another decoder has to look at: other kinds (CMYK, RGB, 12 bits, arithmetic codes, several scans that are
 * not progressive, pictures to be turned), damaged and very large files
 * @throws Error with the code of exhausted memory
 */
export function decodeJpeg(bytes: Uint8Array, resolution: number, fit: Fit, profileKnown: boolean): Uint8Array<ArrayBuffer> | null {
  decoder ??= start();
  try {
    const at = decoder.input(bytes.length);
    if (at === 0) return null;
    new Uint8Array(decoder.memory.buffer, at, bytes.length).set(bytes);
    if (decoder.decode(resolution, fits[fit]) !== done || (decoder.hasProfile() !== 0 && !profileKnown)) return null;
    return new Uint8Array(decoder.memory.buffer, decoder.output(), resolution * resolution * 3).slice();
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    // A damaged file led it out of its memory: a new one, whose state is known, from here on.
    const starved = decoder.outOfMemory() !== 0;
    decoder = null;
    if (starved) throw Object.assign(new Error('there is no memory left to decode a JPEG file'), { code: 'ERR_MEMORY_ALLOCATION_FAILED' });
    return null;
  }
}

/** The square of a JPEG file, and the profile that its caller has to apply. @throws as decodeJpeg */
export function decodeWithProfile(bytes: Uint8Array, resolution: number, fit: Fit): JpegSquare {
  if (!isJpeg(bytes)) return { pixels: null, colours: null };
  const colours = jpegColours(bytes);
  return { pixels: decodeJpeg(bytes, resolution, fit, colours !== null), colours };
}

function start(): Decoder {
  module ??= new Module(Buffer.from(jpegWasm, 'base64'));
  return new Instance(module).exports as Decoder;
}
