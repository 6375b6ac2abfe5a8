import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Write the page of benchmarks without ultrasound and fluoroscopy: what is at hand counted, of the rest what is published.',
  params: z.strictObject({}),
  inputs: {
    vqaRad: 'folder?', vqaRadQuestions: 'file?', slake: 'folder?', slakeQuestions: 'file?', medpix: 'folder?', medmnist: 'folder?', roco: 'folder?', rocov2: 'folder?',
    /** The `clusters` of `find-leaks`. */
    leaks: 'file?',
    /** The same, with MedPix as training set and VQA-RAD as test. */
    medpixLeaks: 'file?',
  },
  outputs: { page: 'file', counts: 'metrics' },
  async run({ inputs, outputs, report }) {
    const { benchmarksPage, leaksInto, measureBenchmark, readAtHand } = await import('../src/study/data/benchmarks.ts');
    const { readClusters } = await import('../src/study/data/leaks.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const atHand = await readAtHand([
      { source: 'vqa-rad', pairs: inputs.vqaRad, questions: inputs.vqaRadQuestions }, { source: 'slake', pairs: inputs.slake, questions: inputs.slakeQuestions },
      { pairs: inputs.medpix }, { pairs: inputs.medmnist }, { pairs: inputs.roco }, { pairs: inputs.rocov2 },
    ]);
    const clusters = inputs.leaks === undefined ? undefined : await readClusters(inputs.leaks);
    await writeFile(outputs.page, benchmarksPage(atHand, clusters, inputs.medpixLeaks === undefined ? undefined : await readClusters(inputs.medpixLeaks)));
    const counts = atHand.flatMap(row => {
      const { images, questions, modalities } = measureBenchmark([row]);
      const numbers = { images, questions, ultrasound: modalities['ultrasound'] ?? 0, fluoroscopy: modalities['fluoroscopy'] ?? 0, leaks: leaksInto([row.source], clusters)?.images ?? NaN };
      return Object.entries(numbers).map(([name, value]) => ({ metric: `${row.source.replace(/\W+/g, '_')}_${name}`, value }));
    });
    await writeFile(outputs.counts, metricLines(counts));
    report.note(`${atHand.length} sources at hand: ${atHand.map(({ source, pairs, questions }) => `${source} (${pairs.length} images${questions.length === 0 ? '' : `, ${questions.length} questions`})`).join(', ') || 'none'}`);
  },
});
