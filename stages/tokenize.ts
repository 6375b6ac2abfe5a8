import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import type { ReducibleTokens } from '../src/study/text/reducible.ts';

export const stage = defineStage({
  summary: "Cut captions into CLIP's tokens, in CLIP's vocabulary or one remapped to the training captions.",
  params: z
  .strictObject({
    /** Tokens a row, start and end included. */
    context: z.int().min(3).max(4096).default(77),
    /**
     * `clip`, the number of ids to remap CLIP's to (pad, unknown, start and end included), or `trained-512`: byte pairs learned from
     * the training captions, of so many ids.
     */
    vocabulary: z
      .union([z.literal('clip'), z.int().min(8).max(49408), z.string().regex(/^trained-[1-9]\d{0,4}$/, 'write clip, a number of ids, or trained-512')])
      .default('clip'),
    /** A remapped vocabulary keeps tokens that the training captions use at least so often. */
    minimum: z.int().min(1).default(2),
    /** `truncate` keeps the first tokens and puts the end token at the last place; `refuse` fails by id. */
    overlong: z.enum(['truncate', 'refuse']).default('truncate'),
    /** Also write what reducers of captions need: words, their classes and frequencies, sentences, and the first characters' tokens. */
    reducible: z.boolean().default(false),
    /** Characters that the way `chars77` keeps, before they are brought to NFKD, as PubMedCLIP's code does. */
    characters: z.int().min(1).default(77),
  })
  .refine(({ vocabulary, reducible }) => !reducible || vocabulary === 'clip' || typeof vocabulary === 'number', {
    path: ['reducible'],
    message: "reducers know CLIP's byte pairs alone",
  }),
  inputs: { captions: 'file' },
  outputs: { tokens: 'folder', lengths: 'metrics' },
  async run({ params, inputs, outputs, report, signal }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { readCaptions } = await import('../src/study/text/captions.ts');
    const { trainBytePairs } = await import('../src/study/text/train-byte-pairs.ts');
    const { tokenize } = await import('../src/study/text/tokenizer.ts');
    const { clipTokens, mapTokens, remapVocabulary } = await import('../src/study/text/remap.ts');
    const { describeTokens, reducibleTokens, wordFrequencies } = await import('../src/study/text/reducible.ts');
    const { tokenRows } = await import('../src/study/text/rows.ts');
    const { tokenStatistics } = await import('../src/study/text/statistics.ts');
    const { writeTokens } = await import('../src/study/text/token-file.ts');

    const captions = await readCaptions(inputs.captions);
    if (captions.length === 0) throw new Error(`${inputs.captions} holds no caption.`);
    const trained =
      typeof params.vocabulary === 'string' && params.vocabulary !== 'clip'
        ? trainBytePairs(captions.filter(({ split }) => split === 'train').map(({ caption }) => caption), Number(params.vocabulary.slice('trained-'.length)))
        : null;
    const ids = captions.map(({ caption }, row) => {
      if (row % 4096 === 0) {
        signal.throwIfAborted();
        report.progress(row / captions.length, { step: row, total: captions.length, unit: 'captions' });
      }
      return trained === null ? tokenize(caption) : [...trained.encode(caption)];
    });

    const ofSplit = (split: string): number[][] => ids.filter((_, row) => captions[row]?.split === split);
    const train = ofSplit('train');
    if (params.vocabulary !== 'clip' && train.length === 0) {
      throw new Error('No caption belongs to the split "train", which a remapped vocabulary is made from; use vocabulary: clip.');
    }
    const vocabulary =
      trained !== null ? trained.vocabulary : typeof params.vocabulary === 'string' ? clipTokens : remapVocabulary(train, params.vocabulary, params.minimum);
    const map = mapTokens(vocabulary);
    const mapped = ids.map(map);
    const names = captions.map(({ id }) => id);
    const rows = tokenRows(mapped, vocabulary, params.context, params.overlong, names);
    const reducible = (): ReducibleTokens => {
      const described = captions.map(({ caption }, row) => {
        if (row % 1024 === 0) {
          signal.throwIfAborted();
          report.progress(row / captions.length, { step: row, total: captions.length, unit: 'captions' });
        }
        return describeTokens(caption);
      });
      const frequencies = wordFrequencies(described.filter((_, row) => captions[row]?.split === 'train'));
      const first = captions.map(({ caption }) => map(tokenize([...caption].slice(0, params.characters).join('').normalize('NFKD'))));
      const context = Math.max(3, ...first.map(({ length }) => length + 2));
      return {
        ...reducibleTokens(described, frequencies, rows, params.context),
        first: { ...tokenRows(first, vocabulary, context), characters: params.characters, context },
      };
    };
    await writeTokens(outputs.tokens, rows, vocabulary, params.context, params.reducible ? reducible() : undefined);
    if (trained !== null) await writeFile(join(outputs.tokens, 'merges.json'), `${JSON.stringify(trained.merges)}\n`);

    const splits = [...new Set(captions.map(({ split }) => split))].sort();
    const count = (tokens: readonly ArrayLike<number>[]): number[] => tokens.map(({ length }) => length);
    const total = ids.reduce((sum, { length }) => sum + length, 0);
    const unknown = mapped.reduce((sum, row) => sum + row.filter((id) => id === vocabulary.unknown).length, 0);
    const metrics = [
      { metric: 'vocabulary', value: vocabulary.size },
      { metric: 'distinct_tokens', value: new Set(ids.flat()).size },
      { metric: 'unknown_share', value: total === 0 ? 0 : unknown / total },
      ...tokenStatistics(count(ids)),
      ...splits.flatMap((split) => tokenStatistics(count(ofSplit(split)), `_${split}`)),
    ];
    await writeFile(outputs.lengths, metricLines(metrics));

    const cut = ids.filter(({ length }) => length > params.context - 2).length;
    const share = ((100 * cut) / captions.length).toFixed(1);
    report.note(
      `${captions.length.toLocaleString('en')} captions, ${(total / captions.length).toFixed(1)} tokens each, ` +
        `${share} % truncated at ${params.context}, vocabulary ${vocabulary.size.toLocaleString('en')}`,
    );
    if (typeof params.vocabulary === 'number' && vocabulary.size < params.vocabulary) {
      report.note(`the training captions use only ${vocabulary.size} ids often enough, of ${params.vocabulary} asked for`);
    }
  },
});
