import { createHash } from 'node:crypto';
import { decodeSquare, setDecodeThreads } from './decode-image.ts';
import type { ImageSource } from './decode-image.ts';
import { decodersAtOnce, imageProblem, isMachineFault, openPairImages } from './pair-images.ts';
import { readPairs, writeJsonLines } from './pairs.ts';
import type { LeftOut } from './pairs.ts';
import { hashSide, perceptualHash } from './perceptual-hash.ts';
import { forEachConcurrent } from './rate-limit.ts';
import { readJsonLines } from './json-lines.ts';
import { splitNames } from './splits.ts';
import type { Split } from './splits.ts';

/** What an image is recognised by in another set. */
export interface Fingerprint {
  readonly id: string;
  readonly source: string;
  readonly group: string;
  readonly split: Split;
  /** Of the file as it is, or of drawn pixels and their shape. */
  readonly sha256: string;
  /** Null where the image does not decode or is flat. */
  readonly hash: string | null;
}

function digestOf(source: ImageSource): string {
  const digest = createHash('sha256');
  if ('raw' in source) digest.update(`${source.width} × ${source.height} × ${source.channels}\n`);
  return digest.update('raw' in source ? source.raw : source.bytes).digest('hex');
}

/** Luminance (Rec. 601) of RGB pixels. */
function greyOf(colour: Uint8Array): Uint8Array {
  const grey = new Uint8Array(colour.length / 3);
  for (let at = 0; at < grey.length; at += 1) {
    grey[at] = Math.round(0.299 * (colour[at * 3] ?? 0) + 0.587 * (colour[at * 3 + 1] ?? 0) + 0.114 * (colour[at * 3 + 2] ?? 0));
  }
  return grey;
}

export interface FingerprintHooks {
  readonly cores?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Fingerprints every image of a folder of pairs. An image that is missing or empty has none and is reported; one that does not
 * decode has its digest alone.
 */
export async function fingerprintImages(folder: string, hooks: FingerprintHooks = {}): Promise<{ fingerprints: Fingerprint[]; leftOut: LeftOut[]; undecoded: LeftOut[] }> {
  const pairs = await readPairs(folder);
  const cores = Math.max(1, Math.floor(hooks.cores ?? 1));
  setDecodeThreads(cores, decodersAtOnce(cores));
  const images = openPairImages(folder);
  const found = new Array<Fingerprint | undefined>(pairs.length);
  const leftOut: LeftOut[] = [];
  const undecoded: LeftOut[] = [];
  let done = 0;
  try {
    await forEachConcurrent(pairs, cores * 2, async ({ id, source, group, split, image }, index) => {
      hooks.signal?.throwIfAborted();
      try {
        const bytes = await images.read(image);
        const hash = await decodeSquare(bytes, hashSide, 'squeeze').then(pixels => perceptualHash(greyOf(pixels)), (error: unknown) => {
          if (isMachineFault(error)) throw error;
          undecoded.push({ id, kind: 'broken', reason: imageProblem(error) });
          return null;
        });
        found[index] = { id, source, group, split, sha256: digestOf(bytes), hash };
      } catch (error) {
        if (isMachineFault(error)) throw error;
        leftOut.push({ id, kind: 'absent', reason: imageProblem(error) });
      }
      done += 1;
      if (done % 256 === 0) hooks.onProgress?.(done, pairs.length);
    });
  } finally {
    await images.close();
  }
  return { fingerprints: found.filter(row => row !== undefined), leftOut, undecoded };
}

export const writeFingerprints = (file: string, rows: readonly Fingerprint[]): Promise<void> => writeJsonLines(file, rows);

/** @throws JsonLinesError naming the line that is no fingerprint */
export const readFingerprints = (file: string): Promise<Fingerprint[]> =>
  readJsonLines(file, row => {
    const { id, source, group, split, sha256, hash } = row;
    const known = splitNames.find(name => name === split);
    if (typeof id !== 'string' || typeof source !== 'string' || typeof group !== 'string' || known === undefined) return 'id, source, group or split is missing';
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return '"sha256" is no digest';
    if (hash !== null && !(typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash))) return '"hash" is no perceptual hash';
    return { value: { id, source, group, split: known, sha256, hash } };
  });
