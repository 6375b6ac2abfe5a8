import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Read a local copy of MedPix 2.0 (under terms: not downloaded), its images with caption, findings or whole case as text.',
  params: z.strictObject({
    /** `case` is caption, history, exam and findings, 200 tokens on average; `discussion` adds the disease discussion, 650. */
    text: z.enum(['caption', 'findings', 'case', 'discussion']).default('caption'),
  }),
  inputs: { folder: 'folder?', archive: 'file?' },
  outputs: { pairs: 'folder' },
  async run({ params, inputs, outputs, report, signal }) {
    const { loadSource } = await import('../src/study/data/load-source.ts');
    const { medpixTerms, readMedpix } = await import('../src/study/data/sources/medpix.ts');
    if (inputs.folder === undefined && inputs.archive === undefined) {
      throw new Error(`${medpixTerms}. So it is not downloaded here: get a copy (https://github.com/CHILab1/MedPix-2.0 has one) and name it, for example in: { folder: ./MedPix-2.0 }.`);
    }
    report.note(medpixTerms);
    const { counts, note } = await loadSource(inputs, source => readMedpix(source, params.text), outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
