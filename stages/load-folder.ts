import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Read a folder or archive of images with captions.csv, .tsv or .jsonl, or a text beside each image.',
  params: z
    .strictObject({
      /** What the rows are called in tables. */
      name: z.string().min(1).max(60).default('folder'),
      /** Of rows that name none. */
      licence: z.string().min(1).default('unknown'),
      /** Of the captions; a byte order mark decides over it. */
      encoding: z.enum(['utf-8', 'utf-16le', 'utf-16be', 'windows-1252']).default('utf-8'),
      /** Where no row says its split: shares, drawn by group. */
      validation: z.number().min(0).max(0.9).default(0.1),
      test: z.number().min(0).max(0.9).default(0.1),
      seed: z.int().default(1),
      /** Addresses to download where `in:` names nothing, each with `#sha256:…` or `#md5:…` if it is to be checked. */
      urls: z.array(z.url({ protocol: /^https?$/, error: 'must be an http or https address' })).default([]),
      /** A folder that keeps downloads over runs, relative to the project; else the checkpoint. */
      store: z.string().min(1).nullable().default(null),
    })
    .refine(({ validation, test }) => validation + test < 1, { path: ['test'], message: 'validation and test must add up to less than 1' }),
  inputs: { folder: 'folder?', archive: 'file?' },
  outputs: { pairs: 'folder' },
  async run({ params, inputs, outputs, report, signal, checkpoint, projectRoot }) {
    const { loadSource, storeFolder } = await import('../src/study/data/load-source.ts');
    const { publishedFile } = await import('../src/study/data/open-source.ts');
    const { readFolder } = await import('../src/study/data/sources/folder.ts');
    const place = { ...inputs, published: params.urls.map(publishedFile), store: storeFolder(params.store, checkpoint, projectRoot) };
    const { counts, note } = await loadSource(place, source => readFolder(source, params), outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
