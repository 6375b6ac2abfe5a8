import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Take the digest and the perceptual hash of every image, to find it again in other sets.',
  params: z.strictObject({}),
  inputs: { pairs: 'folder' },
  outputs: { fingerprints: 'file' },
  async run({ inputs, outputs, report, signal, resources }) {
    const { fingerprintImages, writeFingerprints } = await import('../src/study/data/fingerprints.ts');
    const started = performance.now();
    const { fingerprints, leftOut, undecoded } = await fingerprintImages(inputs.pairs, {
      cores: resources.cpu,
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, rate: (done * 1000) / (performance.now() - started), unit: 'images' }),
    });
    await writeFingerprints(outputs.fingerprints, fingerprints);
    const flat = fingerprints.filter(row => row.hash === null).length - undecoded.length;
    report.metric('images', fingerprints.length);
    report.metric('missing', leftOut.length);
    report.metric('undecoded', undecoded.length);
    report.metric('flat', flat);
    for (const { id, reason } of [...leftOut, ...undecoded].slice(0, 20)) report.note(`${id}: ${reason}`);
    report.note(`${fingerprints.length} images${leftOut.length === 0 ? '' : `, ${leftOut.length} missing`}; known by their digest alone: ${undecoded.length} that do not decode, ${flat} flat ones`);
  },
});
