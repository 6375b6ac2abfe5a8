import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { openImages } from '../../../src/study/data/image-shards.ts';
import { batchesAhead, batchesInline } from '../../../src/study/nn/batch-feed.ts';
import { wholeReading } from '../../../src/study/nn/reading.ts';
import type { BatchPlan } from '../../../src/study/nn/step-batches.ts';
import { openTokens } from '../../../src/study/text/token-file.ts';
import { tinyFolders } from '../../stages/training-rig.ts';
import { openTestBackends } from './backends.ts';
import { tinyConfig } from './rig.ts';

let folders: Awaited<ReturnType<typeof tinyFolders>>;
let worker: URL;
beforeAll(async () => {
  folders = await tinyFolders();
  // As a stage's bundle has it; Node itself runs no TypeScript.
  const out = join(mkdtempSync(join(tmpdir(), 'worker-')), 'batch-worker.mjs');
  await build({ entryPoints: ['src/study/nn/batch-worker.ts'], outfile: out, bundle: true, format: 'esm', platform: 'node' });
  worker = pathToFileURL(out);
});

const plan: BatchPlan = {
  config: tinyConfig,
  rows: Uint32Array.from({ length: 50 }, (_, row) => row + 20),
  batch: 8,
  partSize: 4,
  seed: 3,
  augment: { crop: 0.5, flip: true },
  reading: wholeReading,
};

describe('batches made ahead', () => {
  it('are those made inline, over epochs, augmented, and with parts asked for twice', async () => {
    const images = await openImages(folders.images);
    const inline = batchesInline(images, await openTokens(folders.tokens), plan);
    const parts = [0, 1, 0, 1];
    const ahead = await batchesAhead({ plan, images: folders.images, tokens: folders.tokens, first: 5, last: 14, parts, worker });
    for (let step = 5; step <= 14; step++) {
      for (const part of parts) {
        const [made, expected] = [ahead.next(step, part), inline.next(step, part)];
        expect(Object.keys(made)).toEqual(Object.keys(expected));
        for (const [name, values] of Object.entries(expected) as [keyof typeof made, Float32Array | Int32Array][]) {
          expect(Buffer.compare(Buffer.from(new Uint8Array(made[name]!.buffer as ArrayBuffer)), Buffer.from(values.buffer, values.byteOffset, values.byteLength)), `${name} of step ${step}`).toBe(0);
        }
      }
    }
    expect(ahead.waited()).toBeGreaterThan(0);
    expect(() => ahead.next(15, 0)).toThrow('part 0 of step 15 is asked for out of turn');
    ahead.dispose();
    images.close();
  });

  it('are taken by every backend', async () => {
    for (const backend of await openTestBackends()) {
      const ahead = await batchesAhead({ plan, images: folders.images, tokens: folders.tokens, first: 1, last: 1, parts: [0, 1], worker });
      const { patches } = ahead.next(1, 0);
      const step = backend.compileStep((kernels, { x }) => ({ y: kernels.scale(x!, 2) }), { x: { shape: [patches.length], dtype: 'float32' } }, { state: new Map() });
      expect(step.call({ x: patches })['y'], backend.name).toEqual(Float32Array.from(patches, (value) => 2 * value));
      step.dispose();
      ahead.dispose();
    }
  });

  it('fail as the training thread would: a folder that is not there, and rows that are not', async () => {
    const options = { plan, images: folders.images, tokens: folders.tokens, first: 1, last: 9, parts: [0, 1], worker };
    await expect(batchesAhead({ ...options, images: '/nowhere' })).rejects.toThrow(/ENOENT.*\/nowhere/);
    const broken = join(mkdtempSync(join(tmpdir(), 'worker-')), 'broken.mjs');
    writeFileSync(broken, 'throw new Error("the module does not load")');
    await expect(batchesAhead({ ...options, worker: pathToFileURL(broken) })).rejects.toThrow('the module does not load');
    // The first batches are there; the row is not.
    const rows = Uint32Array.from({ length: 32 }, (_, row) => (row === 31 ? 9999 : row));
    const ahead = await batchesAhead({ ...options, plan: { ...plan, rows } });
    const all = (): void => {
      for (let step = 1; step <= 9; step++) for (const part of [0, 1]) ahead.next(step, part);
    };
    expect(all).toThrow(/there is no image 9999/);
    ahead.dispose();
  });
});
