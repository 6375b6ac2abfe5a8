import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Read SLAKE: questions with answers in English and Chinese, and 642 images, from a local copy or its published address.',
  params: z.strictObject({
    /** Addresses to download where `in:` names nothing, each with `#sha256:…` or `#md5:…` if it is to be checked. */
    urls: z.array(z.url({ protocol: /^https?$/, error: 'must be an http or https address' })).min(1).default(['imgs.zip', 'train.json', 'validation.json', 'test.json'].map(name => `https://huggingface.co/datasets/BoKelvin/SLAKE/resolve/main/${name}`)),
    /** A folder that keeps downloads over runs, relative to the project; else the checkpoint. */
    store: z.string().min(1).nullable().default(null),
  }),
  inputs: { folder: 'folder?', archive: 'file?' },
  outputs: { pairs: 'folder', questions: 'file' },
  async run({ params, inputs, outputs, report, signal, checkpoint, projectRoot }) {
    const { loadSource, storeFolder } = await import('../src/study/data/load-source.ts');
    const { publishedFile } = await import('../src/study/data/open-source.ts');
    const { readSlake } = await import('../src/study/data/sources/vqa.ts');
    const place = { ...inputs, published: params.urls.map(publishedFile), store: storeFolder(params.store, checkpoint, projectRoot) };
    const { counts, note } = await loadSource(place, readSlake, outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
