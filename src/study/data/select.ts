import { modalityOf } from './modality.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { drawIds } from './random.ts';
import { splitByFold, splitByGroup } from './splits.ts';
import type { Split } from './splits.ts';

export interface SelectOptions {
  /** Keep the source's own splits, or draw new ones by group inside what is at hand. */
  readonly splitBy: 'source' | 'group';
  readonly validation: number;
  readonly test: number;
  /** With `splitBy: group`: cut into so many folds instead, of which `fold` is the test set and the next one validation. */
  readonly folds: number | null;
  readonly fold: number;
  readonly seed: number;
  /** At most so many training pairs; validation and test stay whole, so that numbers stay comparable. */
  readonly limit: number | null;
}

export type Selected = Omit<Pair, 'modality'> & { readonly modality: string };

export interface Selection {
  readonly rows: readonly Selected[];
  readonly leftOut: readonly LeftOut[];
}

function newSplits(pairs: readonly Pair[], options: SelectOptions): readonly Split[] {
  if (options.splitBy === 'source') return pairs.map(pair => pair.split);
  const groups = pairs.map(pair => pair.group);
  return options.folds === null ? splitByGroup(groups, options) : splitByFold(groups, { folds: options.folds, fold: options.fold, seed: options.seed });
}

/** What other stages found out about the pairs. */
export interface Findings {
  /** Rows to leave out: leaks, and what a filter drops. */
  readonly dropped?: readonly LeftOut[];
  /** Ids whose group is another one than the source says, since duplicates of them are in it. */
  readonly groups?: ReadonlyMap<string, string>;
}

/**
 * Decides which pairs a study uses and for what: splits first (so that they do not depend on what is dropped: every model and
 * every filter has the same folds), then what is dropped, then the limit on training pairs. A smaller limit takes a part of what
 * a larger one takes.
 *
 * @throws Error when a list of findings names a row that is not there: it was made of other pairs
 */
export function selectPairs(given: readonly Pair[], options: SelectOptions, { dropped = [], groups = new Map() }: Findings = {}): Selection {
  const ids = new Set(given.map(pair => pair.id));
  for (const id of [...dropped.map(row => row.id), ...groups.keys()]) {
    if (!ids.has(id)) throw new Error(`the findings name ${id}, which is none of these ${given.length} pairs: were they made of another source?`);
  }
  const pairs = given.map(pair => ({ ...pair, group: groups.get(pair.id) ?? pair.group }));
  const splits = newSplits(pairs, options);
  const without = new Map(dropped.map(row => [row.id, row]));
  const leftOut: LeftOut[] = [];
  const leave = (row: LeftOut | undefined): boolean => (row === undefined ? false : (leftOut.push(row), true));
  let rows = pairs
    .map((pair, index): Selected => ({ ...pair, split: splits[index] ?? pair.split, modality: pair.modality ?? modalityOf(pair.caption, pair.concepts) }))
    .filter(row => !leave(without.get(row.id)));
  const { limit, seed } = options;
  if (limit !== null) {
    const kept = drawIds(rows.filter(row => row.split === 'train').map(row => row.id), limit, 'limit', seed);
    rows = rows.filter(({ id, split }) => !leave(split !== 'train' || kept.has(id) ? undefined : { id, kind: 'limit', reason: `beyond the limit of ${limit} training pairs` }));
  }
  return { rows, leftOut };
}
