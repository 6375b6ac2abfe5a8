import { hash64 } from './random.ts';

/** Where a row is used: weights are fitted on `train`, choices made by `validation`, numbers reported on `test`. */
export type Split = 'train' | 'validation' | 'test';

export const splitNames: readonly Split[] = ['train', 'validation', 'test'];

export interface ShareOptions {
  /** Share of all rows, 0 to 1. */
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
}

export interface FoldOptions {
  /** How many parts; at least 3, so that train, validation and test are three different ones. */
  readonly folds: number;
  /** 0 … folds − 1: the part that is the test set; the next one (cyclically) is the validation set. */
  readonly fold: number;
  readonly seed: number;
}

function sizes(groups: readonly string[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const group of groups) rows.set(group, (rows.get(group) ?? 0) + 1);
  return rows;
}

/** Group names in an order that depends on the seed and on nothing else (not on the order of the rows). */
function shuffled(names: Iterable<string>, seed: number): string[] {
  const keyed = [...names].map(name => ({ name, key: hash64('split', seed, name) }));
  keyed.sort((x, y) => (x.key < y.key ? -1 : x.key > y.key ? 1 : x.name < y.name ? -1 : 1));
  return keyed.map(entry => entry.name);
}

/**
 * Assigns every row a split so that all rows of a group (article, case, patient) share one. Groups are drawn in a seeded
 * order until a split holds its share of the rows, so the shares are met to within one group.
 *
 * @param groups the group of each row, `[rows]`
 * @returns the split of each row, `[rows]`
 * @throws RangeError for shares below 0, or that leave nothing to train on
 */
export function splitByGroup(groups: readonly string[], options: ShareOptions): Split[] {
  const { validation, test, seed } = options;
  if (!(validation >= 0) || !(test >= 0) || validation + test >= 1) {
    throw new RangeError(`validation ${validation} and test ${test} must be shares of at least 0 that add up to less than 1`);
  }
  const rows = sizes(groups);
  const wanted = { test: Math.round(test * groups.length), validation: Math.round(validation * groups.length) };
  const filled = { test: 0, validation: 0 };
  const splitOf = new Map<string, Split>();
  for (const name of shuffled(rows.keys(), seed)) {
    const split = filled.test < wanted.test ? 'test' : filled.validation < wanted.validation ? 'validation' : 'train';
    splitOf.set(name, split);
    if (split !== 'train') filled[split] += rows.get(name) ?? 0;
  }
  return groups.map(group => splitOf.get(group) ?? 'train');
}

/**
 * Parts of nearly equal numbers of rows with every group in one part only: groups go, largest first and in a seeded order
 * among equals, into the part that holds the fewest rows.
 *
 * @returns the part of each row, 0 … folds − 1, `[rows]`
 * @throws RangeError when there are fewer groups than parts
 */
export function foldsByGroup(groups: readonly string[], folds: number, seed: number): number[] {
  const rows = sizes(groups);
  if (!Number.isInteger(folds) || folds < 2) throw new RangeError(`folds must be a whole number of at least 2, not ${folds}`);
  if (rows.size < folds) throw new RangeError(`${rows.size} groups cannot be cut into ${folds} folds`);
  const order = shuffled(rows.keys(), seed);
  order.sort((x, y) => (rows.get(y) ?? 0) - (rows.get(x) ?? 0)); // stable: the seeded order stays among equal sizes
  const filled = new Array<number>(folds).fill(0);
  const foldOf = new Map<string, number>();
  for (const name of order) {
    const lightest = filled.indexOf(Math.min(...filled));
    foldOf.set(name, lightest);
    filled[lightest] = (filled[lightest] ?? 0) + (rows.get(name) ?? 0);
  }
  return groups.map(group => foldOf.get(group) ?? 0);
}

/** One round of k-fold cross-validation by group: the same folds for every model that names the same seed. */
export function splitByFold(groups: readonly string[], options: FoldOptions): Split[] {
  const { folds, fold, seed } = options;
  if (folds < 3) throw new RangeError(`folds must be at least 3 (one each to train, validate and test), not ${folds}`);
  if (!Number.isInteger(fold) || fold < 0 || fold >= folds) {
    throw new RangeError(`fold must be a whole number from 0 to ${folds - 1}, not ${fold}`);
  }
  const validation = (fold + 1) % folds;
  return foldsByGroup(groups, folds, seed).map(part => (part === fold ? 'test' : part === validation ? 'validation' : 'train'));
}
