/** A thread that keeps the next batches ready in shared memory, so that a step does not wait for them (batch-feed.ts). */
import { workerData } from 'node:worker_threads';
import { openImages } from '../data/image-shards.ts';
import { openTokens } from '../text/token-file.ts';
import { consumed, failed, produced, slots } from './batch-ring.ts';
import type { BatchJob, SlotArrays } from './batch-ring.ts';
import { stepBatches } from './step-batches.ts';

const { plan, images: imageFolder, tokens: tokenFolder, first, last, parts, port, control } = workerData as BatchJob;

try {
  const images = await openImages(imageFolder);
  const build = stepBatches(images, await openTokens(tokenFolder), plan);
  let ring: readonly SlotArrays[] = [];
  let count = 0;
  for (let step = first; step <= last; step++) {
    for (const part of parts) {
      const batch = build(step, part) as unknown as SlotArrays;
      if (ring.length === 0) {
        ring = Array.from({ length: slots }, () => sharedLike(batch));
        port.postMessage({ ring });
      }
      for (let taken = Atomics.load(control, consumed); count - taken >= slots; taken = Atomics.load(control, consumed)) Atomics.wait(control, consumed, taken);
      const slot = ring[count % slots]!;
      for (const [name, values] of Object.entries(batch)) slot[name]!.set(values);
      count++;
      Atomics.store(control, produced, count);
      Atomics.notify(control, produced);
    }
  }
  images.close();
} catch (error) {
  port.postMessage({ error });
  Atomics.store(control, failed, 1);
  // Who waits for a batch wakes up, and sees that there is none.
  Atomics.notify(control, produced);
}
port.close();

/** Arrays of the same names, types and lengths in shared memory. */
function sharedLike(batch: SlotArrays): SlotArrays {
  return Object.fromEntries(
    Object.entries(batch).map(([name, values]) => {
      const memory = new SharedArrayBuffer(values.byteLength);
      return [name, values instanceof Float32Array ? new Float32Array(memory) : new Int32Array(memory)];
    }),
  );
}
