/** One scalar chosen on held-out pairs, so that a loss says how well a model ranks and not how sure of itself it is. */
import { contrastiveLoss } from './contrastive-loss.ts';
import type { EmbeddingPairs } from './similarity.ts';

/** CLIP's own bounds reach from 1 to 100; below 1 every pair looks alike, which is what chance is. */
const range = { low: Math.log(0.1), high: Math.log(100) };
const golden = (Math.sqrt(5) - 1) / 2;

/**
 * The logit scale at which the contrastive loss of these pairs is least (temperature scaling, Guo et al. 2017): the loss
 * is convex in the scale, so its logarithm has one minimum, found by golden section to 0.1 %. A model that has learned
 * nothing of use gets a scale near 0.1, and with it a loss near chance.
 * @param pairs held out from training and from the pairs that are then scored
 */
export function calibrateLogitScale(pairs: EmbeddingPairs, pool: number, seed = 1): number {
  const lossAt = (logScale: number): number => contrastiveLoss(pairs, Math.exp(logScale), pool, seed).loss;
  let { low, high } = range;
  let left = high - golden * (high - low);
  let right = low + golden * (high - low);
  let atLeft = lossAt(left);
  let atRight = lossAt(right);
  while (high - low > 1e-3) {
    if (atLeft <= atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - golden * (high - low);
      atLeft = lossAt(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + golden * (high - low);
      atRight = lossAt(right);
    }
  }
  return Math.exp((low + high) / 2);
}
