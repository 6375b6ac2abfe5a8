/** Retrieval both ways: ranks, recall, median and reciprocal rank, beside what chance would give. */
import { randomOf } from '../data/random.ts';
import { type Positives, positivesAmong, positivesByKeys } from './positives.ts';
import { type EmbeddingPairs, eachTile, gatherRows, pairCount, product } from './similarity.ts';

export const recallCutoffs = [1, 5, 10] as const;
export type RecallCutoff = (typeof recallCutoffs)[number];
export type Recalls = Readonly<Record<RecallCutoff, number>>;

export interface Ranks {
  /** Rank of the first right text for each image, from 1; halves and the like where scores tie. */
  readonly imageToText: Float64Array;
  /** Rank of the first right image for each text. */
  readonly textToImage: Float64Array;
}

export interface DirectionScores {
  /** Share of queries whose first right candidate ranks at the cut-off or better. */
  readonly recall: Recalls;
  readonly medianRank: number;
  readonly meanReciprocalRank: number;
}

export interface RetrievalScores {
  /** Candidates a query has, and the number of disjoint pools that the scores are averaged over. */
  readonly pool: number;
  readonly pools: number;
  readonly imageToText: DirectionScores;
  readonly textToImage: DirectionScores;
  /** Recall of a random order, duplicates counted. */
  readonly chance: Recalls;
  /** Mean rank of the first right candidate in a random order. */
  readonly chanceRank: number;
}

export interface RetrievalOptions {
  /** Candidates a query has; all pairs when left out or when there are fewer. */
  readonly pool?: number;
  /** Seed of the shuffle that pools are cut from; default 1. */
  readonly seed?: number;
  /** Default: every pair is right for itself alone. */
  readonly positives?: Positives;
}

/**
 * Ranks of the first right candidate. Where wrong candidates score exactly as the best right one, the rank is the mean over
 * all orders of the tie, so that a model that gives everything one score ranks like chance.
 */
export function retrievalRanks(pairs: EmbeddingPairs, positives?: Positives): Ranks {
  const count = pairCount(pairs);
  const all = Int32Array.from({ length: count }, (_, i) => i);
  return ranksOf(
    gatherRows(pairs.image, pairs.width, all),
    gatherRows(pairs.text, pairs.width, all),
    pairs.width,
    positives ?? positivesByKeys(count),
  );
}

function ranksOf(image: Float64Array, text: Float64Array, width: number, positives: Positives): Ranks {
  const rows = bestRight(image, text, width, positives);
  const columns = bestRight(text, image, width, positives);
  eachTile(image, text, width, (tile) => {
    for (let i = 0, at = 0; i < tile.rows; i += 1) {
      const row = tile.top + i;
      const best = rows.best[row]!;
      let above = 0;
      let equal = 0;
      for (let j = 0, column = tile.left; j < tile.columns; j += 1, at += 1, column += 1) {
        const value = tile.values[at]!;
        if (value >= best) {
          if (value > best) above += 1;
          else equal += 1;
        }
        const bestOfColumn = columns.best[column]!;
        if (value >= bestOfColumn) {
          if (value > bestOfColumn) columns.above[column]! += 1;
          else columns.equal[column]! += 1;
        }
      }
      rows.above[row]! += above;
      rows.equal[row]! += equal;
    }
  });
  return { imageToText: expectedRanks(rows), textToImage: expectedRanks(columns) };
}

interface Standing {
  /** Score of the best right candidate, and how many right ones share it. */
  readonly best: Float64Array;
  readonly right: Int32Array;
  /** Candidates above it, and at it, right ones included. */
  readonly above: Int32Array;
  readonly equal: Int32Array;
}

function bestRight(queries: Float64Array, candidates: Float64Array, width: number, positives: Positives): Standing {
  const count = positives.length;
  const best = new Float64Array(count).fill(-Infinity);
  const right = new Int32Array(count);
  positives.forEach((rows, query) => {
    for (const row of rows) {
      const value = product(queries, query, candidates, row, width);
      if (value > best[query]!) {
        best[query] = value;
        right[query] = 1;
      } else if (value === best[query]) right[query]! += 1;
    }
  });
  return { best, right, above: new Int32Array(count), equal: new Int32Array(count) };
}

/** Of p right and w wrong candidates in one tie, the first right one stands at (p + w + 1) / (p + 1) on average. */
function expectedRanks({ right, above, equal }: Standing): Float64Array {
  return Float64Array.from(above, (higher, i) => higher + (equal[i]! + 1) / (right[i]! + 1));
}

/** Scores on fixed pools: the rows in a seeded order are cut into as many whole pools as there are, and scores averaged. */
export function scoreRetrieval(pairs: EmbeddingPairs, options: RetrievalOptions = {}): RetrievalScores {
  const count = pairCount(pairs);
  if (count === 0) throw new RangeError('There is nothing to retrieve: no pairs.');
  const { seed = 1, positives = positivesByKeys(count) } = options;
  const pools = seededPools(count, options.pool ?? count, seed);
  const scores = pools.map((rows) => {
    const own = positivesAmong(positives, rows);
    const ranks = ranksAmong(pairs, rows, own);
    return { imageToText: scoreRanks(ranks.imageToText), textToImage: scoreRanks(ranks.textToImage), ...chanceOf(own) };
  });
  const direction = (key: 'imageToText' | 'textToImage'): DirectionScores => ({
    recall: averageRecalls(scores.map((score) => score[key].recall)),
    medianRank: mean(scores.map((score) => score[key].medianRank)),
    meanReciprocalRank: mean(scores.map((score) => score[key].meanReciprocalRank)),
  });
  return {
    pool: pools[0]!.length,
    pools: pools.length,
    imageToText: direction('imageToText'),
    textToImage: direction('textToImage'),
    chance: averageRecalls(scores.map((score) => score.chance)),
    chanceRank: mean(scores.map((score) => score.chanceRank)),
  };
}

/** Ranks within a choice of rows; `positives` are places in it. */
function ranksAmong({ image, text, width }: EmbeddingPairs, rows: ArrayLike<number>, positives: Positives): Ranks {
  return ranksOf(gatherRows(image, width, rows), gatherRows(text, width, rows), width, positives);
}

/** The rank of each row's first right candidate in its pool, on the pools that scoreRetrieval averages over, and which rows these are. */
export function pooledRanks(pairs: EmbeddingPairs, options: RetrievalOptions = {}): Ranks & { readonly rows: Int32Array } {
  const count = pairCount(pairs);
  const { seed = 1, positives = positivesByKeys(count) } = options;
  const pools = seededPools(count, options.pool ?? count, seed);
  const ranks = pools.map((rows) => ranksAmong(pairs, rows, positivesAmong(positives, rows)));
  const joined = (key: keyof Ranks): Float64Array => Float64Array.from(ranks.flatMap((own) => [...own[key]]));
  return { rows: Int32Array.from(pools.flatMap((rows) => [...rows])), imageToText: joined('imageToText'), textToImage: joined('textToImage') };
}

/** Disjoint pools of `size` rows out of `count`, in a seeded order; rows that fill no pool are left out. One pool of all rows when there are fewer. */
export function seededPools(count: number, size: number, seed: number): Int32Array[] {
  if (!Number.isInteger(size) || size < 1)
    throw new RangeError(`A pool of ${size} candidates is impossible; use a whole number from 1.`);
  const random = randomOf('pools', seed);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const whole = Math.min(size, count);
  return Array.from({ length: Math.max(1, Math.floor(count / whole)) }, (_, pool) =>
    order.slice(pool * whole, (pool + 1) * whole),
  );
}

/** Recall, median and reciprocal rank of ranks. */
export function scoreRanks(ranks: Float64Array): DirectionScores {
  const sorted = ranks.slice().sort();
  const middle = sorted.length >> 1;
  return {
    recall: recalls((cutoff) => ranks.reduce((hits, rank) => hits + (rank <= cutoff ? 1 : 0), 0) / ranks.length),
    medianRank: sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
    meanReciprocalRank: ranks.reduce((sum, rank) => sum + 1 / rank, 0) / ranks.length,
  };
}

/** What a random order gives: with p right ones of n, recall at k is 1 − C(n−p, k) / C(n, k), the mean first rank (n+1)/(p+1). */
export function chanceOf(positives: Positives): { chance: Recalls; chanceRank: number } {
  const n = positives.length;
  return {
    chance: recalls((cutoff) => mean(positives.map(({ length: p }) => chanceRecall(n, p, cutoff)))),
    chanceRank: mean(positives.map(({ length: p }) => (n + 1) / (p + 1))),
  };
}

function chanceRecall(n: number, p: number, cutoff: number): number {
  let missed = 1;
  for (let k = 0; k < Math.min(cutoff, n); k += 1) missed *= Math.max(0, n - p - k) / (n - k);
  return 1 - missed;
}

function averageRecalls(all: readonly Recalls[]): Recalls {
  return recalls((cutoff) => mean(all.map((one) => one[cutoff])));
}

function recalls(of: (cutoff: RecallCutoff) => number): Recalls {
  return { 1: of(1), 5: of(5), 10: of(10) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
