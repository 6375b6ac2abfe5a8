import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: "Read MedMNIST's radiology sets (npz) with captions made of their labels, from a local folder or the Zenodo record.",
  params: z.strictObject({
    /** Names such as `pneumoniamnist`, `chestmnist`, `organamnist`, `nodulemnist3d`; of volumes the middle slice is taken. */
    sets: z.array(z.string().regex(/^[a-z]+mnist(3d)?$/, 'must be a name such as pneumoniamnist')).min(1).default(['pneumoniamnist']),
    /** Pixels of a side. */
    size: z.literal([28, 64, 128, 224]).default(28),
    /** Where the record's files and md5 sums are listed; read where `in:` names no folder. */
    recordUrl: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).default('https://zenodo.org/api/records/10519652'),
    /** A folder that keeps downloads over runs, relative to the project; else the checkpoint. */
    store: z.string().min(1).nullable().default(null),
  }),
  inputs: { folder: 'folder?' },
  outputs: { pairs: 'folder' },
  async run({ params, inputs, outputs, report, signal, checkpoint, projectRoot }) {
    const { storeFolder, summaryOf, zenodoFiles } = await import('../src/study/data/load-source.ts');
    const { openSource, pathOf } = await import('../src/study/data/open-source.ts');
    const { countBy } = await import('../src/study/data/pairs.ts');
    const { medmnistSetOf, readMedmnist } = await import('../src/study/data/sources/medmnist.ts');
    const names = params.sets.map(set => `${set}${params.size === 28 ? '' : `_${params.size}`}.npz`);
    names.forEach(medmnistSetOf);
    const published = inputs.folder === undefined ? await zenodoFiles(params.recordUrl, name => names.includes(name), signal) : [];
    const source = await openSource({ ...inputs, published, store: storeFolder(params.store, checkpoint, projectRoot), scratch: `${outputs.pairs}-scratch`, signal });
    try {
      const files = names.map(name => {
        const path = pathOf(source, name);
        if (path === undefined) throw new Error(`there is no ${name} among ${source.files.map(file => file.path).filter(file => file.endsWith('.npz')).join(', ') || 'no npz files'}`);
        return path;
      });
      const { pairs, leftOut } = await readMedmnist(files, outputs.pairs, source.about, { signal });
      const { counts, note } = summaryOf(pairs.length, pairs.length, countBy(leftOut, row => row.kind));
      for (const [name, value] of Object.entries(counts)) report.metric(name, value);
      report.note(note);
    } finally {
      await source.close();
    }
  },
});
