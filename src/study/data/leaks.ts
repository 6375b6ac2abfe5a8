import { readFile, writeFile } from 'node:fs/promises';
import type { Fingerprint } from './fingerprints.ts';
import { hashIndex } from './near-duplicates.ts';
import { countBy } from './pairs.ts';
import type { LeftOut } from './pairs.ts';
import { splitNames } from './splits.ts';

/** How two images are known to be one, the surest first. */
export type LeakKind = 'identical' | 'same id' | 'near duplicate';
export const leakKinds: readonly LeakKind[] = ['identical', 'same id', 'near duplicate'];

export interface LeakOptions {
  /** Bits of 256 that the perceptual hashes of near-duplicates differ in at most. */
  readonly distance: number;
  /** Patterns for a part of an id that names one image in several sets, for example `synpic\d+` in MedPix and VQA-RAD. */
  readonly ids: readonly RegExp[];
  /** Inside the training set: drop the row of the earlier split, or only see to it that new splits keep duplicates together. */
  readonly own: 'drop' | 'group';
}

/** A row of the training set that a test set holds too. */
export interface Leak {
  readonly row: Fingerprint;
  readonly kind: LeakKind;
  readonly distance: number | null;
  /** The test row it is found by: the surest match, then the nearest. */
  readonly of: Fingerprint;
  /** How many more test rows it matches. */
  readonly others: number;
}

export interface Leaks {
  readonly leaks: readonly Leak[];
  /** Sets of two or more rows that show one image, over all sets: rows of the training set, then of the others. */
  readonly clusters: readonly (readonly Fingerprint[])[];
  /** Training rows whose group is joined with another one, since duplicates are in both; with the joined group. */
  readonly groups: ReadonlyMap<string, string>;
}

interface Match {
  readonly other: number;
  readonly kind: LeakKind;
  readonly distance: number | null;
}

/** Union–find with halved paths. */
function sets(count: number): { find(at: number): number; join(a: number, b: number): void } {
  const parent = Int32Array.from({ length: count }, (_, index) => index);
  const find = (at: number): number => {
    while (parent[at] !== at) at = parent[at] = parent[parent[at] ?? at] ?? at;
    return at;
  };
  return { find, join: (a, b) => void (parent[Math.max(find(a), find(b))] = Math.min(find(a), find(b))) };
}

/** The parts of ids that name an image, with the number of their pattern. */
const keysOf = (id: string, patterns: readonly RegExp[]): string[] =>
  patterns.flatMap((pattern, index) => {
    const key = pattern.exec(id)?.[0];
    return key === undefined || key === '' ? [] : [`${index}:${key.toLowerCase()}`];
  });

const surer = (a: Match, b: Match): boolean =>
  leakKinds.indexOf(a.kind) - leakKinds.indexOf(b.kind) < 0 || (a.kind === b.kind && (a.distance ?? 0) < (b.distance ?? 0));

/**
 * Finds images of `training` that are in `tests` too: files with the same content, ids that name the same image, and perceptual
 * hashes at most `distance` bits apart. Rows of `tests` that are rows of `training` (same source and id) are those themselves;
 * of a set's own rows, those of a later split (train, validation, test) are tests for those of an earlier one.
 */
export function findLeaks(training: readonly Fingerprint[], tests: readonly Fingerprint[], options: LeakOptions): Leaks {
  const own = new Set(training.map(row => `${row.source}\n${row.id}`));
  const rows = [...training, ...tests.filter(row => !own.has(`${row.source}\n${row.id}`))];
  const index = hashIndex(training.length);
  const numberOf: number[] = []; // of a hash in the index: its row
  const byDigest = new Map<string, number[]>();
  const byKey = new Map<string, number[]>();
  const clusters = sets(rows.length);
  const best = new Map<number, { match: Match; count: number }>();
  const groupNumber = new Map<string, number>();
  for (const { group } of training) groupNumber.set(group, groupNumber.get(group) ?? groupNumber.size);
  const twins: [number, number][] = [];
  const rank = (row: number): number => splitNames.indexOf(rows[row]?.split ?? 'train');

  const record = (row: number, match: Match): void => {
    const earlier = best.get(row);
    if (earlier === undefined) best.set(row, { match, count: 1 });
    else best.set(row, { match: surer(match, earlier.match) ? match : earlier.match, count: earlier.count + 1 });
  };
  rows.forEach((row, at) => {
    const isTraining = at < training.length;
    const matches = new Map<number, Match>();
    const take = (other: number, kind: LeakKind, distance: number | null): void => {
      if (!matches.has(other)) matches.set(other, { other, kind, distance });
    };
    for (const other of byDigest.get(row.sha256) ?? []) take(other, 'identical', null);
    for (const key of keysOf(row.id, options.ids)) for (const other of byKey.get(key) ?? []) take(other, 'same id', null);
    if (row.hash !== null) for (const { number, distance } of index.near(row.hash, options.distance)) take(numberOf[number] ?? -1, 'near duplicate', distance);
    for (const { other, kind, distance } of matches.values()) {
      clusters.join(at, other);
      if (!isTraining) record(other, { other: at, kind, distance });
      else if (options.own === 'drop' && rank(at) !== rank(other)) record(rank(at) < rank(other) ? at : other, { other: rank(at) < rank(other) ? other : at, kind, distance });
      if (isTraining) twins.push([at, other]);
    }
    if (!isTraining) return;
    if (row.hash !== null) numberOf[index.add(row.hash)] = at;
    const add = (map: Map<string, number[]>, key: string): void => {
      const list = map.get(key);
      if (list === undefined) map.set(key, [at]);
      else list.push(at);
    };
    add(byDigest, row.sha256);
    for (const key of keysOf(row.id, options.ids)) add(byKey, key);
  });

  const groups = sets(groupNumber.size);
  const groupOf = (row: number): number => groupNumber.get(rows[row]?.group ?? '') ?? 0;
  for (const [a, b] of twins) if (!best.has(a) && !best.has(b)) groups.join(groupOf(a), groupOf(b));
  const names = [...groupNumber.keys()];
  const members = new Map<number, Fingerprint[]>();
  rows.forEach((row, at) => {
    const set = clusters.find(at);
    const list = members.get(set);
    if (list === undefined) members.set(set, [row]);
    else list.push(row);
  });
  return {
    leaks: [...best].sort(([a], [b]) => a - b).flatMap(([at, { match, count }]) => {
      const [row, of] = [rows[at], rows[match.other]];
      return row === undefined || of === undefined ? [] : [{ row, of, kind: match.kind, distance: match.distance, others: count - 1 }];
    }),
    clusters: [...members.values()].filter(list => list.length > 1),
    groups: new Map(training.flatMap((row, at) => {
      const joined = groups.find(groupOf(at));
      return joined === groupOf(at) ? [] : [[row.id, names[joined] ?? row.group]];
    })),
  };
}

/** A leak as a row that is left out, with its reason. */
export function leftOutFor({ row, kind, distance, of, others }: Leak): LeftOut {
  const where = of.source === row.source ? `of its own ${of.split} split` : `of ${of.source} (${of.split})`;
  const how = kind === 'identical' ? 'the same file as' : kind === 'same id' ? 'names the same image as' : `a near-duplicate (${distance} of 256 bits) of`;
  return { id: row.id, kind: 'leak', reason: `${how} ${of.id} ${where}${others === 0 ? '' : `, and of ${others} more`}` };
}

/** What was compared, and all rows that show one image: the file `clusters` of `find-leaks`. */
export interface ClusterFile {
  readonly distance: number;
  /** Images by source. */
  readonly training: Readonly<Record<string, number>>;
  readonly tests: Readonly<Record<string, number>>;
  readonly clusters: readonly (readonly { readonly source: string; readonly id: string; readonly split: string; readonly group: string }[])[];
}

export async function writeClusters(file: string, training: readonly Fingerprint[], tests: readonly Fingerprint[], distance: number, clusters: Leaks['clusters']): Promise<void> {
  const content: ClusterFile = {
    distance,
    training: countBy(training, row => row.source),
    tests: countBy(tests, row => row.source),
    clusters: clusters.map(rows => rows.map(({ source, id, split, group }) => ({ source, id, split, group }))),
  };
  await writeFile(file, `${JSON.stringify(content, null, 1)}\n`);
}

/** @throws Error when the file is none that `find-leaks` made */
export async function readClusters(file: string): Promise<ClusterFile> {
  const content = JSON.parse(await readFile(file, 'utf8')) as Partial<ClusterFile>;
  if (typeof content.training !== 'object' || typeof content.tests !== 'object' || !Array.isArray(content.clusters)) throw new Error(`${file} is no list of clusters that find-leaks made`);
  return content as ClusterFile;
}
