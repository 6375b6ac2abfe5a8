import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Read a local copy of MIMIC-CXR-JPG with its reports (credentialed: not downloaded).',
  params: z.strictObject({}),
  inputs: { folder: 'folder?' },
  outputs: { pairs: 'folder' },
  async run({ inputs, outputs, report, signal }) {
    const { loadSource } = await import('../src/study/data/load-source.ts');
    const { mimicTerms, readMimicCxr } = await import('../src/study/data/sources/mimic-cxr.ts');
    if (inputs.folder === undefined) {
      throw new Error(`${mimicTerms}. Get it at https://physionet.org/content/mimic-cxr-jpg/ and name the copy, for example in: { folder: /data/mimic-cxr }.`);
    }
    report.note(mimicTerms);
    const { counts, note } = await loadSource(inputs, readMimicCxr, outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
