import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';

export const stage = defineStage({
  summary: 'Describe a source: counts, licences, modalities, lengths of captions, and a sheet of examples.',
  params: z.strictObject({
    /** What the card is headed; the source's own name unless said. */
    name: z.string().min(1).nullable().default(null),
    /** Images on the sheet, drawn at random. */
    images: z.int().min(1).max(400).default(24),
    columns: z.int().min(1).max(20).default(6),
    /** Pixels of an image's side on the sheet. */
    tile: z.int().min(48).max(512).default(168),
    /** Lines of caption below an image. */
    lines: z.int().min(1).max(20).default(5),
    seed: z.int().default(1),
  }),
  inputs: { pairs: 'folder' },
  outputs: { card: 'file', sheet: 'file', counts: 'metrics' },
  async run({ params, inputs, outputs, report, signal }) {
    const { contactSheet } = await import('../src/study/data/contact-sheet.ts');
    const { cardText, makeDataCard } = await import('../src/study/data/data-card.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { contextLengths } = await import('../src/study/text/statistics.ts');
    const card = await makeDataCard(inputs.pairs, params.name);
    signal.throwIfAborted();
    await writeFile(outputs.card, cardText(card, contextLengths));
    await writeFile(outputs.sheet, await contactSheet(inputs.pairs, card.pairs, { ...params, count: params.images }, signal));
    await writeFile(outputs.counts, metricLines(Object.entries(card.counts).map(([metric, value]) => ({ metric, value }))));
    const { counts } = card;
    const licences = Object.keys(counts).filter(name => name.startsWith('licence_')).length;
    report.note(`${card.name}: ${counts['pairs']} images, ${licences} ${licences === 1 ? 'licence' : 'licences'}, ${(counts['tokens_mean'] ?? 0).toFixed(1)} tokens a caption, ${((counts['truncated_at_77'] ?? 0) * 100).toFixed(1)} % beyond 77`);
  },
});
