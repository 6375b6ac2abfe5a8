import { describe, expect, it } from 'vitest';
import { drawPoints } from '../../../src/study/law/bootstrap.ts';
import { predictLoss } from '../../../src/study/law/chinchilla.ts';
import { fitScalingLaw } from '../../../src/study/law/fit.ts';
import type { ScalingPoint } from '../../../src/study/law/points.ts';
import { percentileInterval } from '../../../src/study/percentile.ts';

/** Numbers in order, each with the range that it was asked for. */
function scripted(numbers: readonly number[]): { readonly below: (count: number) => number; readonly asked: number[] } {
  const asked: number[] = [];
  return { asked, below: count => (asked.push(count), numbers[asked.length - 1]!) };
}

describe('drawing runs again', () => {
  it('draws single runs where all are of one fold', () => {
    const { below, asked } = scripted([2, 0, 2]);
    expect([...drawPoints([[0, 1, 2]], below)]).toEqual([[2, 2], [0, 1]]);
    expect(asked).toEqual([3, 3, 3]);
  });

  it('draws folds, and then runs of each', () => {
    const { below, asked } = scripted([1, 0, 1, 1, 0, 0]);
    expect([...drawPoints([[0, 1], [2, 3]], below)]).toEqual([[2, 3], [3, 1]]);
    expect(asked).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('gives wider intervals where folds differ and runs of a fold do not', () => {
    const sizes = [1e3, 1e4, 1e5, 1e6];
    const points = ['0', '1', '2'].flatMap((block, fold) => sizes.flatMap(n => sizes.map(d => ({ n, d, block, loss: (1 + fold / 20) * (1.5 + 20 * n ** -0.4 + 30 * d ** -0.4) }))));
    /** Of the predicted loss of a size and a number of pairs within those of the runs. */
    const width = (runs: readonly ScalingPoint[]): number => {
      const [low, high] = percentileInterval(fitScalingLaw(runs, { replicates: 100, delta: 0.1 }).samples.map(law => predictLoss(law, 3e4, 3e4)), 0.95);
      return high - low;
    };
    expect(width(points)).toBeGreaterThan(2 * width(points.map(({ n, d, loss }) => ({ n, d, loss }))));
  });
});
