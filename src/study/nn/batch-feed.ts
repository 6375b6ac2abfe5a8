import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { ImageSource, TokenSource } from './batches.ts';
import { consumed, failed, produced } from './batch-ring.ts';
import type { BatchJob, SlotArrays } from './batch-ring.ts';
import { stepBatches } from './step-batches.ts';
import type { BatchPlan } from './step-batches.ts';
import type { Batch } from './batch.ts';

/** Where batches come from, in the order in which steps ask for them. */
export interface BatchFeed {
  /** The part of the step's batch; good until the next is asked for. */
  next(step: number, part: number): Batch;
  /** Milliseconds that `next` has kept its caller waiting so far. */
  waited(): number;
  dispose(): void;
}

/** Batches made when they are asked for, by the thread that trains. */
export function batchesInline(images: ImageSource, tokens: TokenSource, plan: BatchPlan): BatchFeed {
  const build = stepBatches(images, tokens, plan);
  let waited = 0;
  return {
    next(step, part) {
      const started = performance.now();
      const batch = build(step, part);
      waited += performance.now() - started;
      return batch;
    },
    waited: () => waited,
    dispose: () => {},
  };
}

export interface PrefetchOptions extends Pick<BatchJob, 'images' | 'tokens' | 'first' | 'last' | 'parts'> {
  readonly plan: BatchPlan;
  /** The worker's module; from TypeScript sources there is none that Node could run. */
  readonly worker?: URL;
}

/** Batches made ahead by a thread of their own, which reads the folders itself: the same ones, bit by bit, as batchesInline makes. */
export async function batchesAhead({ plan, worker = new URL('./batch-worker.ts', import.meta.url), ...job }: PrefetchOptions): Promise<BatchFeed> {
  const { port1, port2 } = new MessageChannel();
  const control = new Int32Array(new SharedArrayBuffer(12));
  const data: BatchJob = { ...job, plan: { ...plan, rows: Uint32Array.from(plan.rows) }, port: port2, control };
  const thread = new Worker(worker, { workerData: data, transferList: [port2] });
  const ring = await new Promise<readonly SlotArrays[]>((resolve, reject) => {
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the thread that makes batches has ended')));
    port1.once('message', (message: { ring?: readonly SlotArrays[]; error?: unknown }) => {
      if (message.ring === undefined) reject(message.error);
      else resolve(message.ring);
    });
  });
  // From here on it is waited for without an event loop, and must not hold one.
  thread.removeAllListeners();
  thread.on('error', () => {});
  thread.unref();
  port1.unref();
  const sequence = sequenceOf(job);
  let count = 0;
  let waited = 0;
  return {
    next(step, part) {
      const due = sequence.next().value;
      if (due === undefined || due[0] !== step || due[1] !== part) throw new Error(`part ${part} of step ${step} is asked for out of turn`);
      Atomics.store(control, consumed, count);
      Atomics.notify(control, consumed);
      const started = performance.now();
      while (Atomics.load(control, produced) <= count) {
        if (Atomics.load(control, failed) === 1) throw (receiveMessageOnPort(port1)?.message as { error: unknown }).error;
        Atomics.wait(control, produced, count, 1000);
      }
      waited += performance.now() - started;
      return ring[count++ % ring.length] as unknown as Batch;
    },
    waited: () => waited,
    dispose: () => {
      port1.close();
      void thread.terminate();
    },
  };
}

function* sequenceOf({ first, last, parts }: Pick<BatchJob, 'first' | 'last' | 'parts'>): Generator<readonly [step: number, part: number], undefined> {
  for (let step = first; step <= last; step++) for (const part of parts) yield [step, part];
  return undefined;
}
