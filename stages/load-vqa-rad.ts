import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

const publishedUrl = 'https://codeload.github.com/Awenbocc/med-vqa/zip/0cca6811e38cf54aff6a7cce3442296d07875e64';

export const stage = defineStage({
  summary: 'Read VQA-RAD: questions with answers, and 315 images, from a local copy or its published address.',
  params: z.strictObject({
    /** Addresses to download where `in:` names nothing, each with `#sha256:…` or `#md5:…` if it is to be checked. */
    urls: z.array(z.url({ protocol: /^https?$/, error: 'must be an http or https address' })).min(1).default([publishedUrl]),
    /** A folder that keeps downloads over runs, relative to the project; else the checkpoint. */
    store: z.string().min(1).nullable().default(null),
  }),
  inputs: { folder: 'folder?', archive: 'file?' },
  outputs: { pairs: 'folder', questions: 'file' },
  async run({ params, inputs, outputs, report, signal, checkpoint, projectRoot }) {
    const { contentDigest, loadSource, storeFolder } = await import('../src/study/data/load-source.ts');
    const { publishedFile } = await import('../src/study/data/open-source.ts');
    const { readVqaRad, vqaRadContent } = await import('../src/study/data/sources/vqa.ts');
    const place = { ...inputs, published: params.urls.map(publishedFile), store: storeFolder(params.store, checkpoint, projectRoot) };
    // A host packs such an archive anew each time, so its own checksum is none: what it holds is checked instead.
    const checked = inputs.folder === undefined && inputs.archive === undefined && params.urls.every(url => url === publishedUrl);
    const { counts, note } = await loadSource(place, async source => {
      const digest = checked ? await contentDigest(source, vqaRadContent.files) : vqaRadContent.sha256;
      if (digest !== vqaRadContent.sha256) throw new Error(`${publishedUrl} holds other files than it did: their sha256 is ${digest}, not ${vqaRadContent.sha256}. To take them as they are, get a copy and name it in \`in:\`.`);
      return readVqaRad(source);
    }, outputs, {
      signal,
      onProgress: (done, total) => report.progress(done / total, { step: done, total, unit: 'images' }),
    });
    for (const [name, value] of Object.entries(counts)) report.metric(name, value);
    report.note(note);
  },
});
