import type { ModelConfig } from './model-config.ts';
import { flopsPerMacOf, macsPerPair } from './model-size.ts';
import { type Reading, wholeReading } from './reading.ts';

/** How long to train: exactly one of these. */
export interface Budget {
  /** FLOP, counted as 6 · MAC for each pair. */
  readonly flops?: number | null | undefined;
  readonly pairs?: number | null | undefined;
  readonly epochs?: number | null | undefined;
}

/** A budget that cannot be spent as asked. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';
  readonly exitCode = 2;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** FLOP of training on one pair, counted as 6 · MAC (4 with a frozen base), where the share `whole` of the steps reads everything. */
export const flopsPerPair = (config: ModelConfig, reading: Reading = wholeReading, whole = 0): number =>
  flopsPerMacOf(config) * ((1 - whole) * macsPerPair(config, reading) + whole * macsPerPair(config));

/**
 * Whole steps of `batch` pairs that come nearest to the budget; `perPair` are the FLOP of one.
 * @throws BudgetError when it does not reach for one.
 */
export function stepsFor(budget: Budget, config: ModelConfig, batch: number, uniquePairs: number, perPair = flopsPerPair(config)): number {
  const pairs = typeof budget.flops === 'number' ? budget.flops / perPair : (budget.pairs ?? (budget.epochs ?? 0) * uniquePairs);
  const steps = Math.round(pairs / batch);
  if (steps < 1) {
    throw new BudgetError(
      `the budget buys ${Math.floor(pairs)} pairs of ${config.name}, less than half a batch of ${batch}`,
      `one batch costs ${(perPair * batch).toPrecision(3)} FLOP; raise the budget, or lower batch`,
    );
  }
  return steps;
}

/**
 * Peak learning rate by width where none is given: 3e-3 at width 16, falling with the root of the width as in
 * Kaplan et al. (2020) small models do, and CLIP's own 5e-4 from width 512 on.
 */
export const defaultLearningRate = (config: ModelConfig): number =>
  Math.max(5e-4, 3e-3 * Math.sqrt(16 / Math.max(config.image.width, config.text.width)));
