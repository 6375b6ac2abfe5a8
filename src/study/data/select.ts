import { modalityOf, modalityReason } from './modality.ts';
import type { ModalitySet } from './modality.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { hash64 } from './random.ts';
import { splitByFold, splitByGroup, splitNames } from './splits.ts';
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
  readonly modality: ModalitySet;
  /** Whether captions of angiography alone stay: they are fluoroscopic acquisitions, and a decision of their own. */
  readonly angiography: boolean;
  /** At most so many training pairs; validation and test stay whole, so that numbers stay comparable. */
  readonly limit: number | null;
}

export type Selected = Omit<Pair, 'modality'> & { readonly modality: string };

export interface Selection {
  readonly rows: readonly Selected[];
  readonly leftOut: readonly LeftOut[];
}

/** The rows to leave out, `count` of them, drawn by a seeded order that does not depend on the other rows. */
function draw(rows: readonly Selected[], count: number, ...salt: readonly (string | number)[]): Set<string> {
  const keyed = rows.map(row => ({ id: row.id, key: hash64(...salt, row.id) }));
  keyed.sort((x, y) => (x.key < y.key ? -1 : x.key > y.key ? 1 : 0));
  return new Set(keyed.slice(0, count).map(row => row.id));
}

function newSplits(pairs: readonly Pair[], options: SelectOptions): readonly Split[] {
  if (options.splitBy === 'source') return pairs.map(pair => pair.split);
  const groups = pairs.map(pair => pair.group);
  return options.folds === null ? splitByGroup(groups, options) : splitByFold(groups, { folds: options.folds, fold: options.fold, seed: options.seed });
}

/**
 * Decides which pairs a study uses and for what: splits first (so that they do not depend on the filter), then the modality
 * set, then the limit on training pairs. A smaller limit takes a part of what a larger one takes.
 */
export function selectPairs(pairs: readonly Pair[], options: SelectOptions): Selection {
  const splits = newSplits(pairs, options);
  const leftOut: LeftOut[] = [];
  const { modality: set, angiography, seed, limit } = options;
  let rows = pairs.map((pair, index): Selected => ({
    ...pair,
    split: splits[index] ?? pair.split,
    modality: pair.modality ?? modalityOf(pair.caption, pair.concepts),
  }));
  const reasonOf = (row: Selected): string | undefined => modalityReason(row.modality, set === 'random' ? 'permissive' : set, angiography);
  const drop = (reason: (row: Selected) => string | undefined, kind: string): void => {
    rows = rows.filter(row => {
      const why = reason(row);
      if (why !== undefined) leftOut.push({ id: row.id, kind, reason: why });
      return why === undefined;
    });
  };
  if (set === 'random') {
    const drawn = new Set<string>();
    for (const split of splitNames) {
      const here = rows.filter(row => row.split === split);
      const count = here.filter(row => reasonOf(row) !== undefined).length;
      for (const id of draw(here, count, 'size-matched', seed)) drawn.add(id);
    }
    drop(row => (drawn.has(row.id) ? 'left out at random, as many as the permissive set drops' : undefined), 'random');
  } else drop(reasonOf, 'modality');
  if (limit !== null) {
    const train = rows.filter(row => row.split === 'train');
    const kept = draw(train, limit, 'limit', seed);
    drop(row => (row.split === 'train' && !kept.has(row.id) ? `beyond the limit of ${limit} training pairs` : undefined), 'limit');
  }
  return { rows, leftOut };
}
