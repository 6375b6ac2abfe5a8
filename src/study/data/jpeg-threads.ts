import { Worker } from 'node:worker_threads';
import type { Fit } from './decode-image.ts';
import type { JpegSquare } from './jpeg-decoder.ts';

export interface JpegWork {
  readonly number: number;
  /** A file's bytes, or its path: threads that read it themselves spare a copy and several changes of threads. */
  readonly source: Uint8Array | string;
  readonly resolution: number;
  readonly fit: Fit;
}

export type JpegAnswer =
  | ({ readonly number: number } & JpegSquare)
  | { readonly number: number; readonly error: unknown };

/** Threads that decode, each by decodeJpeg. */
export interface JpegThreads {
  /** As decodeJpeg. @throws Error when a thread has ended, which is no fault of the file */
  decode(source: JpegWork['source'], resolution: number, fit: Fit): Promise<JpegSquare>;
  close(): Promise<void>;
}

/** More would wait for the one that reads the files, and take 10 MB each. */
const most = 8;

interface Waiting {
  readonly thread: Worker;
  readonly resolve: (square: JpegSquare) => void;
  readonly reject: (error: unknown) => void;
}

/** Starts threads that keep the process alive only while they work. `program`: their module, as Node can load it. */
export function startJpegThreads(count: number, program: URL): JpegThreads {
  const waiting = new Map<number, Waiting>();
  const load = new Map<Worker, number>();
  let next = 0;
  const settle = (number: number): Waiting | undefined => {
    const found = waiting.get(number);
    waiting.delete(number);
    if (found === undefined) return undefined;
    const left = (load.get(found.thread) ?? 1) - 1;
    load.set(found.thread, left);
    if (left === 0) found.thread.unref();
    return found;
  };
  for (let index = 0; index < Math.min(count, most); index += 1) {
    const thread = new Worker(program);
    load.set(thread, 0);
    thread.unref();
    thread.on('message', (answer: JpegAnswer) => {
      const found = settle(answer.number);
      if ('error' in answer) found?.reject(answer.error);
      else found?.resolve(answer);
    });
    const ended = (why: string): void => {
      load.delete(thread);
      for (const [number, { thread: of, reject }] of waiting) {
        if (of !== thread) continue;
        waiting.delete(number);
        reject(Object.assign(new Error(`a thread that decodes JPEG files has ended: ${why}`), { code: 'ERR_WORKER_NOT_RUNNING' }));
      }
    };
    thread.on('error', (error: Error) => ended(error.message));
    thread.on('exit', code => ended(`exit code ${code}`));
  }
  return {
    decode: (source, resolution, fit) =>
      new Promise((resolve, reject) => {
        const [thread] = [...load].reduce<[Worker | null, number]>((least, one) => (one[1] < least[1] ? one : least), [null, Infinity]);
        if (thread === null) {
          reject(Object.assign(new Error('no thread is left that decodes JPEG files'), { code: 'ERR_WORKER_NOT_RUNNING' }));
          return;
        }
        const work: JpegWork = { number: next++, source, resolution, fit };
        waiting.set(work.number, { thread, resolve, reject });
        load.set(thread, (load.get(thread) ?? 0) + 1);
        thread.ref();
        thread.postMessage(work);
      }),
    async close() {
      await Promise.all([...load.keys()].map(thread => thread.terminate()));
    },
  };
}
