/** A thread that decodes JPEG files (jpeg-threads.ts). */
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { decodeWithProfile } from './jpeg-decoder.ts';
import type { JpegAnswer, JpegWork } from './jpeg-threads.ts';

parentPort?.on('message', ({ number, source, resolution, fit }: JpegWork) => {
  let answer: JpegAnswer;
  try {
    answer = { number, ...decodeWithProfile(typeof source === 'string' ? readWhole(source) : source, resolution, fit) };
  } catch (error) {
    answer = { number, error };
  }
  parentPort?.postMessage(answer, 'pixels' in answer && answer.pixels !== null ? [answer.pixels.buffer] : []);
});

/** Nothing where it cannot be read: whoever asked says so better. */
function readWhole(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    return new Uint8Array(0);
  }
}
