import { readFile, writeFile } from 'node:fs/promises';
import type { Fingerprint } from './fingerprints.ts';
import { hashIndex } from './near-duplicates.ts';
import { countBy } from './pairs.ts';
import type { LeftOut } from './pairs.ts';

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
  readonly kind: LeakKind;
  readonly distance: number | null;
  /** The row that is matched, and how many others like it. */
  readonly of: number;
  readonly count: number;
}

/** Rows of one content: their perceptual hash is one, and what is found of one row holds for all. */
interface Content {
  readonly hash: string | null;
  readonly keys: Set<string>;
  /** Rows of the training set, by split in the order of `splitNames`, and of test sets. */
  readonly own: readonly [number[], number[], number[]];
  readonly tests: number[];
  /** The best match with a test row, and with rows of each split of the training set. */
  test: Match | undefined;
  readonly splits: [Match | undefined, Match | undefined, Match | undefined];
}

/** Union–find with halved paths; of two sets the one with the smaller number gives its name to both. */
function sets(count: number): { find(at: number): number; join(a: number, b: number): void } {
  const parent = Int32Array.from({ length: count }, (_, index) => index);
  const find = (at: number): number => {
    while (parent[at] !== at) at = parent[at] = parent[parent[at] ?? at] ?? at;
    return at;
  };
  return {
    find,
    join(a, b) {
      const [x, y] = [find(a), find(b)];
      parent[Math.max(x, y)] = Math.min(x, y);
    },
  };
}

/** The parts of ids that name an image, with the number of their pattern. */
const keysOf = (id: string, patterns: readonly RegExp[]): string[] =>
  patterns.flatMap((pattern, index) => {
    const key = pattern.exec(id)?.[0];
    return key === undefined || key === '' ? [] : [`${index}:${key.toLowerCase()}`];
  });

const surer = (a: Match, b: Match): boolean =>
  leakKinds.indexOf(a.kind) < leakKinds.indexOf(b.kind) || (a.kind === b.kind && (a.distance ?? 0) < (b.distance ?? 0));

/** The better of two matches, which counts the rows of both. */
function better(earlier: Match | undefined, match: Match): Match {
  if (earlier === undefined) return match;
  return { ...(surer(match, earlier) ? match : earlier), count: earlier.count + match.count };
}

const rankOf = (row: Fingerprint): 0 | 1 | 2 => (row.split === 'train' ? 0 : row.split === 'validation' ? 1 : 2);
const ranks = [0, 1, 2] as const;

function append<K>(map: Map<K, number[]>, key: K, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** Rows by content, in the order of their first rows. */
function contentsOf(rows: readonly Fingerprint[], own: number, ids: readonly RegExp[]): Content[] {
  const contents = new Map<string, Content>();
  rows.forEach((row, at) => {
    let content = contents.get(row.sha256);
    if (content === undefined) contents.set(row.sha256, (content = { hash: row.hash, keys: new Set(), own: [[], [], []], tests: [], test: undefined, splits: [undefined, undefined, undefined] }));
    for (const key of keysOf(row.id, ids)) content.keys.add(key);
    (at < own ? content.own[rankOf(row)] : content.tests).push(at);
  });
  return [...contents.values()];
}

/** Notes in `content` which rows of `other` it matches. */
function note(content: Content, other: Content, kind: LeakKind, distance: number | null): void {
  const match = (rows: readonly number[]): Match | undefined => (rows[0] === undefined ? undefined : { kind, distance, of: rows[0], count: rows.length });
  const test = match(other.tests);
  if (test !== undefined) content.test = better(content.test, test);
  for (const rank of ranks) {
    const found = match(other.own[rank]);
    if (found !== undefined) content.splits[rank] = better(content.splits[rank], found);
  }
}

/**
 * Finds images of `training` that are in `tests` too: files with the same content, ids that name the same image, and perceptual
 * hashes at most `distance` bits apart. Rows of `tests` that are rows of `training` (same source and id) are those themselves;
 * of a set's own rows, those of a later split (train, validation, test) are tests for those of an earlier one.
 */
export function findLeaks(training: readonly Fingerprint[], tests: readonly Fingerprint[], options: LeakOptions): Leaks {
  const known = new Set(training.map(row => `${row.source}\n${row.id}`));
  const rows = [...training, ...tests.filter(row => !known.has(`${row.source}\n${row.id}`))];
  const contents = contentsOf(rows, training.length, options.ids);
  const isOwn = ({ own }: Content): boolean => own.some(list => list.length > 0);
  const index = hashIndex(contents.filter(isOwn).length);
  const numberOf: number[] = []; // of a hash in the index: its content
  const byKey = new Map<string, number[]>();
  const clusters = sets(contents.length);
  const twins = sets(contents.length); // by matches inside the training set alone
  contents.forEach((content, at) => {
    note(content, content, 'identical', null);
    const matches = new Map<number, [LeakKind, number | null]>();
    for (const key of content.keys) for (const other of byKey.get(key) ?? []) matches.set(other, ['same id', null]);
    if (content.hash !== null) {
      for (const { number, distance } of index.near(content.hash, options.distance)) {
        const other = numberOf[number] ?? at;
        if (!matches.has(other)) matches.set(other, ['near duplicate', distance]);
      }
    }
    for (const [number, [kind, distance]] of matches) {
      const other = contents[number];
      if (other === undefined) continue;
      note(content, other, kind, distance);
      note(other, content, kind, distance);
      clusters.join(at, number);
      if (isOwn(content)) twins.join(at, number);
    }
    if (!isOwn(content)) return;
    if (content.hash !== null) numberOf[index.add(content.hash)] = at;
    for (const key of content.keys) append(byKey, key, at);
  });

  const leaks: (readonly [number, Leak])[] = [];
  const leaking = new Set<number>();
  const members = new Map<number, number[]>();
  contents.forEach((content, at) => {
    for (const rank of ranks) {
      // Of the training set's own rows those of later splits count.
      const later = options.own === 'drop' ? content.splits.filter((_, other) => other > rank) : [];
      const match = [content.test, ...later].filter(found => found !== undefined).reduce<Match | undefined>(better, undefined);
      const of = match === undefined ? undefined : rows[match.of];
      for (const number of content.own[rank]) {
        append(members, clusters.find(at), number);
        const row = rows[number];
        if (match === undefined || of === undefined || row === undefined) continue;
        leaking.add(number);
        leaks.push([number, { row, of, kind: match.kind, distance: match.distance, others: match.count - 1 }]);
      }
    }
    for (const number of content.tests) append(members, clusters.find(at), number);
  });

  const numbers = new Map<string, number>();
  for (const { group } of training) if (!numbers.has(group)) numbers.set(group, numbers.size);
  const groups = sets(numbers.size);
  const firstOf = new Map<number, number>(); // of a set of twins: the group of a row that stays
  contents.forEach((content, at) => {
    for (const number of content.own.flat()) {
      if (leaking.has(number)) continue;
      const group = numbers.get(rows[number]?.group ?? '') ?? 0;
      const first = firstOf.get(twins.find(at));
      if (first === undefined) firstOf.set(twins.find(at), group);
      else groups.join(first, group);
    }
  });
  const names = [...numbers.keys()];
  return {
    leaks: leaks.sort(([a], [b]) => a - b).map(([, leak]) => leak),
    clusters: [...members.values()].filter(list => list.length > 1).map(list => list.sort((a, b) => a - b).flatMap(at => rows[at] ?? [])),
    groups: new Map(training.flatMap(row => {
      const group = numbers.get(row.group) ?? 0;
      return groups.find(group) === group ? [] : [[row.id, names[groups.find(group)] ?? row.group]];
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
