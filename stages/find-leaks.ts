import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'iu').exec('') === null;
  } catch {
    return false;
  }
}

export const stage = defineStage({
  summary: 'Find training images that test sets hold too: same file, same id, or near-duplicates by perceptual hash.',
  params: z.strictObject({
    /** Bits of 256 that near-duplicates differ in at most. On ROCO and VQA-RAD copies differ in up to 24, other images in 48 and more. */
    distance: z.int().min(0).max(31).default(30),
    /** Regular expressions, any case, for a part of an id that names one image in several sets: MedPix and VQA-RAD share synpic numbers. */
    ids: z.array(z.string().refine(isPattern, 'must be a regular expression that does not match the empty text')).default(['synpic\\d+']),
    /**
     * Duplicates on two sides of the training set's own splits: `drop` drops the one of the earlier split (train, validation,
     * test); `group` drops none, for pipelines that draw new splits by group. Both join the groups of duplicates.
     */
    own: z.enum(['drop', 'group']).default('drop'),
  }),
  // What `fingerprint-images` made of each set; any may be left out.
  inputs: { training: 'file', vqaRad: 'file?', slake: 'file?', medpix: 'file?', medmnist: 'file?', roco: 'file?', rocov2: 'file?', other: 'file?' },
  outputs: { dropped: 'file', groups: 'file', clusters: 'file', counts: 'metrics' },
  async run({ params, inputs, outputs, report }) {
    const { readFingerprints } = await import('../src/study/data/fingerprints.ts');
    const { findLeaks, leakKinds, leftOutFor, writeClusters } = await import('../src/study/data/leaks.ts');
    const { countBy, writeJsonLines } = await import('../src/study/data/pairs.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const training = await readFingerprints(inputs.training);
    const { training: _, ...others } = inputs;
    const tests = (await Promise.all(Object.values(others).map(file => (file === undefined ? [] : readFingerprints(file))))).flat();
    const { leaks, clusters, groups } = findLeaks(training, tests, { ...params, ids: params.ids.map(text => new RegExp(text, 'iu')) });
    await writeJsonLines(outputs.dropped, leaks.map(leftOutFor));
    await writeJsonLines(outputs.groups, [...groups].map(([id, group]) => ({ id, group })));
    await writeClusters(outputs.clusters, training, tests, params.distance, clusters);

    const kinds = countBy(leaks, leak => leak.kind);
    const sources = countBy(leaks, leak => leak.of.source);
    const counts: Record<string, number> = { training: training.length, tests: tests.length, leaks: leaks.length };
    for (const kind of leakKinds) counts[kind.replaceAll(' ', '_')] = kinds[kind] ?? 0;
    for (const [source, count] of Object.entries(sources)) counts[`leaks_${source.replace(/\W+/g, '_')}`] = count;
    Object.assign(counts, { clusters: clusters.length, regrouped: groups.size, without_hash: training.filter(row => row.hash === null).length });
    await writeFile(outputs.counts, metricLines(Object.entries(counts).map(([metric, value]) => ({ metric, value }))));
    const by = Object.entries(sources).map(([source, count]) => `${count} ${source}`).join(', ');
    report.note(`${leaks.length} of ${training.length} images leak${by === '' ? '' : ` (of ${by})`}: ${leakKinds.map(kind => `${kinds[kind] ?? 0} ${kind}`).join(', ')} (at most ${params.distance} of 256 bits)`);
  },
});
