import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { captionStatistics } from '../text/caption-statistics.ts';
import { inWords, markdownTable, percent } from './markdown.ts';
import { modalityNames, modalityOf } from './modality.ts';
import { isMachineFault, openPairImages } from './pair-images.ts';
import { countBy, readPairs } from './pairs.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { drawIds } from './random.ts';
import { splitNames } from './splits.ts';

export interface DataCard {
  readonly name: string;
  /** What the source says of itself: its report, without the rows and counts. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly pairs: readonly Pair[];
  readonly leftOut: readonly LeftOut[];
  /** Numbers by name. */
  readonly counts: Readonly<Record<string, number>>;
}

const sampled = 200;

/** Middle width and height of up to 200 images, by their headers. */
async function imageSizes(folder: string, pairs: readonly Pair[]): Promise<Record<string, number>> {
  const chosen = drawIds(pairs.map(pair => pair.id), sampled, 'sizes');
  const images = openPairImages(folder);
  const sizes: (readonly [number, number])[] = [];
  try {
    for (const { id, image } of pairs) {
      if (!chosen.has(id)) continue;
      try {
        const source = await images.read(image);
        const { width, height } = 'raw' in source ? source : await sharp(source.bytes).metadata();
        sizes.push([width, height]);
      } catch (error) {
        if (isMachineFault(error)) throw error; // that an image is broken is for `preprocess` to report
      }
    }
  } finally {
    await images.close();
  }
  const middle = (side: 0 | 1): number => sizes.map(size => size[side]).sort((a, b) => a - b)[sizes.length >> 1] ?? NaN;
  return { width_p50: middle(0), height_p50: middle(1), sizes_sampled: sizes.length };
}

const word = (name: string): string => name.replace(/\W+/g, '_');
const prefixed = (prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> => Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix}_${word(name)}`, count]));

/** Counts what there is to say of a folder of pairs. The modality is the source's, else the one that the caption and concepts name. */
export async function makeDataCard(folder: string, name: string | null): Promise<DataCard> {
  const pairs = await readPairs(folder);
  const { leftOut, counts: _, pairs: __, groups: ___, ...about } = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')) as { leftOut: LeftOut[] } & Record<string, unknown>;
  const modality = countBy(pairs, pair => pair.modality ?? modalityOf(pair.caption, pair.concepts));
  const bySplit = countBy(pairs, pair => pair.split);
  const counts: Record<string, number> = {
    pairs: pairs.length,
    groups: new Set(pairs.map(pair => pair.group)).size,
    ...Object.fromEntries(splitNames.map(split => [split, bySplit[split] ?? 0])),
    left_out: leftOut.length,
    ...prefixed('left_out', countBy(leftOut, row => row.kind)),
    modality_by_source: pairs.filter(pair => pair.modality !== null).length,
    ...prefixed('modality', { ...Object.fromEntries(modalityNames.map(each => [each, 0])), ...modality }),
    ...prefixed('licence', countBy(pairs, pair => pair.licence)),
    ...(await imageSizes(folder, pairs)),
    ...Object.fromEntries(captionStatistics(pairs.map(pair => pair.caption)).map(({ metric, value }) => [metric, value])),
  };
  return { name: name ?? Object.keys(countBy(pairs, pair => pair.source)).join(', '), about, pairs, leftOut, counts };
}

/** The card as Markdown. */
export function cardText({ name, about, pairs, leftOut, counts }: DataCard, contexts: readonly number[]): string {
  const shares = (values: Readonly<Record<string, number>>): [string, string, string][] => Object.entries(values).map(([value, count]) => [value, inWords(count), percent(count / pairs.length)]);
  const said = Object.entries(about).filter(([, value]) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean');
  const examples = Object.entries(countBy(leftOut, row => row.kind)).map(([kind, count]) => {
    const example = leftOut.find(row => row.kind === kind);
    return [kind, inWords(count), example === undefined ? '' : `${example.id}: ${example.reason}`.slice(0, 160)];
  });
  const quantiles = ['mean', 'p50', 'p90', 'p99', 'max'];
  return [
    `# Data card: ${name}`,
    `${inWords(counts['pairs'])} images with captions in ${inWords(counts['groups'])} groups; ${splitNames.map(split => `${inWords(counts[split])} ${split}`).join(', ')}; ${inWords(counts['left_out'])} left out. Images of ${inWords(counts['width_p50'])} × ${inWords(counts['height_p50'])} pixels (middle of ${inWords(counts['sizes_sampled'])}).`,
    ...(said.length === 0 ? [] : [said.map(([key, value]) => `- ${key}: ${String(value)}`).join('\n')]),
    '## Modalities', markdownTable(['modality', 'images', 'share'], shares(countBy(pairs, pair => pair.modality ?? modalityOf(pair.caption, pair.concepts)))),
    `${inWords(counts['modality_by_source'])} by the source's own label, the others by caption and concepts.`,
    '## Licences', markdownTable(['licence', 'images', 'share'], shares(countBy(pairs, pair => pair.licence))),
    '## Captions', markdownTable(['length in', ...quantiles], ['characters', 'words', 'tokens'].map(unit => [unit, ...quantiles.map(quantile => inWords(counts[`${unit}_${quantile}`]))])),
    `${inWords(counts['duplicate_captions'])} captions repeat another; ${inWords(counts['distinct_tokens'])} distinct tokens.`,
    markdownTable(['context', 'captions truncated', 'tokens kept'], contexts.map(context => [String(context), percent(counts[`truncated_at_${context}`]), percent(counts[`tokens_kept_at_${context}`])])),
    ...(examples.length === 0 ? [] : ['## Left out', markdownTable(['kind', 'rows', 'for example'], examples)]),
  ].join('\n\n') + '\n';
}
