import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Read ROCOv2 with concepts and licences, from a local folder or its Zenodo record.',
  params: z.strictObject({
    splits: z.array(z.enum(['train', 'valid', 'test'])).min(1).default(['train', 'valid', 'test']),
    /** Where the record's files and md5 sums are listed; read where `in:` names no folder. */
    recordUrl: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).default('https://zenodo.org/api/records/10821435'),
    /** A folder that keeps downloads over runs, relative to the project; else the checkpoint. */
    store: z.string().min(1).nullable().default(null),
  }),
  inputs: { folder: 'folder?' },
  outputs: { pairs: 'folder' },
  async run({ params, inputs, outputs, report, signal, checkpoint, projectRoot }) {
    const { loadSource, storeFolder, zenodoFiles } = await import('../src/study/data/load-source.ts');
    const { readRocov2 } = await import('../src/study/data/sources/rocov2.ts');
    const wanted = new RegExp(`^((${params.splits.join('|')})_.*\\.(csv|zip)|license_information\\.csv|cui_mapping\\.csv)$`);
    const published = inputs.folder === undefined ? await zenodoFiles(params.recordUrl, name => wanted.test(name), signal) : [];
    const place = { ...inputs, published, store: storeFolder(params.store, checkpoint, projectRoot), ...(inputs.folder === undefined ? {} : { unpack: /(^|\/)(train|valid|validation|test)_images\.zip$/ }) };
    const { counts, note } = await loadSource(place, readRocov2, outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
