/** The contrastive loss on a fixed pool of candidates: comparable between runs, whatever batch they trained with. */
import { seededPools } from './retrieval.ts';
import { type EmbeddingPairs, eachTile, gatherRows, pairCount } from './similarity.ts';

export interface ContrastiveLoss {
  /** Nats, mean of both directions over all pools. */
  readonly loss: number;
  /** Loss of a model that knows nothing, ln(pool). A worse one is possible. */
  readonly chance: number;
  /** Candidates a query has, and pools averaged over. */
  readonly pool: number;
  readonly pools: number;
}

/**
 * Symmetric InfoNCE (Radford et al. 2021) on seeded, disjoint pools: the mean cross-entropy of finding each image's own text
 * among the pool's, and each text's own image, with logits `logitScale · cosine`. Duplicates count as wrong here, as in training.
 * @param logitScale the factor itself, e^(learned parameter), for example 100
 * @param pool candidates; all pairs when there are fewer
 */
export function contrastiveLoss(pairs: EmbeddingPairs, logitScale: number, pool: number, seed = 1): ContrastiveLoss {
  const count = pairCount(pairs);
  if (count === 0) throw new RangeError('There is no loss without pairs.');
  if (!(logitScale > 0 && Number.isFinite(logitScale)))
    throw new RangeError(`The logit scale is ${logitScale}; it must be positive.`);
  const pools = seededPools(count, pool, seed);
  const losses = pools.map((rows) => {
    const image = gatherRows(pairs.image, pairs.width, rows);
    const text = gatherRows(pairs.text, pairs.width, rows);
    return poolLoss(image, text, pairs.width, logitScale);
  });
  const size = pools[0]!.length;
  return {
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    chance: Math.log(size),
    pool: size,
    pools: pools.length,
  };
}

function poolLoss(image: Float64Array, text: Float64Array, width: number, scale: number): number {
  const count = image.length / width;
  const rows = new LogSum(count);
  const columns = new LogSum(count);
  let own = 0;
  eachTile(image, text, width, (tile) => {
    for (let i = 0, at = 0; i < tile.rows; i += 1) {
      for (let j = 0; j < tile.columns; j += 1, at += 1) {
        const logit = scale * tile.values[at]!;
        rows.add(tile.top + i, logit);
        columns.add(tile.left + j, logit);
        if (tile.top + i === tile.left + j) own += logit;
      }
    }
  });
  return (rows.total() + columns.total() - 2 * own) / (2 * count);
}

/** Running log-sum-exp of many sums at once. */
class LogSum {
  readonly #top: Float64Array;
  readonly #sum: Float64Array;

  constructor(count: number) {
    this.#top = new Float64Array(count).fill(-Infinity);
    this.#sum = new Float64Array(count);
  }

  add(index: number, value: number): void {
    const top = this.#top[index]!;
    if (value <= top) this.#sum[index]! += Math.exp(value - top);
    else {
      this.#sum[index] = this.#sum[index]! * Math.exp(top - value) + 1;
      this.#top[index] = value;
    }
  }

  total(): number {
    return this.#top.reduce((sum, top, i) => sum + top + Math.log(this.#sum[i]!), 0);
  }
}
