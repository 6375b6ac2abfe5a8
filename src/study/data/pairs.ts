import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, normalize, isAbsolute, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { splitNames } from './splits.ts';
import type { Split } from './splits.ts';

/** Pixels that a stage drew itself: `width × height × channels` bytes at `offset` of `file`, rows first, uint8. */
export interface RawImage {
  readonly file: string;
  readonly offset: number;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** One usable image with its caption. */
export interface Pair {
  readonly id: string;
  /** A path relative to the folder, or where the raw pixels are. */
  readonly image: string | RawImage;
  readonly caption: string;
  /** What must not be on both sides of a split: the article (ROCO), the case (phantom). */
  readonly group: string;
  readonly split: Split;
  readonly licence: string;
  /** Null where the source does not say; `preprocess` then reads it off the caption and the concepts. */
  readonly modality: string | null;
  readonly source: string;
  /** The licence that ROCO's own list gives, where it is known; `licence` is the one the archive gives today. */
  readonly licenceInRoco?: string;
  /** UMLS concept ids that the source attaches. */
  readonly concepts?: readonly string[];
}

/** Something that a stage did not pass on, and why. Every row that comes in goes out or is one of these. */
export interface LeftOut {
  readonly id: string;
  readonly kind: string;
  readonly reason: string;
}

/** Counts of one field's values, most frequent first. */
export function countBy<T>(rows: readonly T[], field: (row: T) => string): Record<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(field(row), (counts.get(field(row)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([x, n], [y, m]) => m - n || (x < y ? -1 : 1)));
}

/** Writes JSON Lines in pieces, so that a large set needs no single large string. */
export async function writeJsonLines(path: string, rows: Iterable<unknown>): Promise<void> {
  await writeFile(path, (function* () {
    let text = '';
    for (const row of rows) {
      text += `${JSON.stringify(row)}\n`;
      if (text.length > 1 << 20) {
        yield text;
        text = '';
      }
    }
    yield text;
  })());
}

/**
 * Writes the folder's `pairs.jsonl` and `report.json`. The report holds no times, so that the same data give the same bytes.
 */
export async function writePairs(
  folder: string,
  pairs: readonly Pair[],
  leftOut: readonly LeftOut[],
  about: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeJsonLines(join(folder, 'pairs.jsonl'), pairs);
  const report = {
    ...about,
    pairs: pairs.length,
    groups: new Set(pairs.map(pair => pair.group)).size,
    counts: {
      source: countBy(pairs, pair => pair.source),
      split: countBy(pairs, pair => pair.split),
      licence: countBy(pairs, pair => pair.licence),
      modality: countBy(pairs, pair => pair.modality ?? 'not said by the source'),
      leftOut: countBy(leftOut, row => row.kind),
    },
    leftOut,
  };
  await writeFile(join(folder, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
}

const textFields = ['id', 'caption', 'group', 'licence', 'source'] as const;

function staysInside(path: string): boolean {
  return path !== '' && !isAbsolute(path) && !normalize(path).split(sep).includes('..');
}

function rawProblem(image: Partial<Record<keyof RawImage, unknown>>): string | undefined {
  if (typeof image.file !== 'string' || !staysInside(image.file)) return '"image.file" must be a path inside the folder';
  for (const name of ['offset', 'width', 'height'] as const) {
    if (!Number.isSafeInteger(image[name]) || Number(image[name]) < (name === 'offset' ? 0 : 1)) return `"image.${name}" is no size`;
  }
  return image.channels === 1 || image.channels === 3 ? undefined : '"image.channels" must be 1 or 3';
}

function problemOf(row: Partial<Record<keyof Pair, unknown>>): string | undefined {
  for (const field of textFields) if (typeof row[field] !== 'string' || row[field] === '') return `"${field}" is missing or not text`;
  if (!splitNames.some(split => split === row.split)) return `"split" must be one of ${splitNames.join(', ')}`;
  if (row.modality !== null && typeof row.modality !== 'string') return '"modality" must be text or null';
  if (row.concepts !== undefined && !(Array.isArray(row.concepts) && row.concepts.every(c => typeof c === 'string'))) {
    return '"concepts" must be a list of ids';
  }
  if (typeof row.image === 'string') return staysInside(row.image) ? undefined : `"image" leaves the folder: ${row.image}`;
  return typeof row.image === 'object' && row.image !== null ? rawProblem(row.image) : '"image" is missing';
}

/**
 * Reads the pairs of a folder made by `download-roco`, `draw-phantom` or another source, in their order.
 *
 * @throws Error with file and line for a row that is not a pair, leaves the folder, or repeats an id
 */
export async function readPairs(folder: string): Promise<Pair[]> {
  const path = join(folder, 'pairs.jsonl');
  const pairs: Pair[] = [];
  const seen = new Map<string, number>();
  let line = 0;
  const fail = (problem: string): never => {
    throw new Error(`${path}:${line}: ${problem}`);
  };
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    line += 1;
    if (text.trim() === '') continue;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (error) {
      fail(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (typeof row !== 'object' || row === null) fail('a row must be an object');
    const problem = problemOf(row as Partial<Record<keyof Pair, unknown>>);
    if (problem !== undefined) fail(problem);
    const pair = row as Pair;
    const earlier = seen.get(pair.id);
    if (earlier !== undefined) fail(`the id ${pair.id} is on line ${earlier} already`);
    seen.set(pair.id, line);
    pairs.push(pair);
  }
  return pairs;
}

/** Reads a folder's `report.json`. */
export async function readPairsReport(folder: string): Promise<{ leftOut: LeftOut[]; counts: Record<string, Record<string, number>> }> {
  return JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'));
}
