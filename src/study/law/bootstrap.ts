/** Bootstrap of a scaling law: runs, and the folds that they are of, are drawn with replacement, and the law is fitted again. */
import { randomOf } from '../data/random.ts';
import type { CentredProblem, ChinchillaParameters } from './chinchilla.ts';
import { minimise } from './minimise.ts';
import { type ScalingPoint, parameterCount } from './points.ts';

export interface BootstrapResult {
  readonly samples: readonly ChinchillaParameters[];
  /** Replicates with too few different points, one size or one number of samples: these fix no law. */
  readonly degenerate: number;
}

/**
 * How often each point is in a replicate. Points of several blocks are drawn in two stages, blocks and then as many points of each as
 * it has, since those of one block share their test cases (Davison and Hinkley, 1997, section 3.8).
 */
export function drawPoints(blocks: readonly (readonly number[])[], below: (count: number) => number): Map<number, number> {
  const times = new Map<number, number>();
  for (const block of blocks) {
    const drawn = blocks.length === 1 ? block : blocks[below(blocks.length)]!;
    for (const _ of drawn) {
      const point = drawn[below(drawn.length)]!;
      times.set(point, (times.get(point) ?? 0) + 1);
    }
  }
  return times;
}

/** Fits each replicate from warm starts (minima of the whole sample, centred coordinates) and keeps the best. */
export function bootstrapParameters(
  points: readonly ScalingPoint[],
  problem: CentredProblem,
  starts: readonly Float64Array[],
  replicates: number,
  seed: number,
): BootstrapResult {
  const random = randomOf('bootstrap', seed);
  const samples: ChinchillaParameters[] = [];
  const names = [...new Set(points.map(({ block }) => block))];
  const blocks = names.map((name) => points.flatMap(({ block }, i) => (block === name ? [i] : [])));
  for (let replicate = 0; replicate < replicates; replicate += 1) {
    const weights = new Float64Array(points.length);
    for (const [point, times] of drawPoints(blocks, (count) => random.below(count))) weights[point] = times;
    const drawn = points.filter((_, i) => weights[i]! > 0);
    const distinct = (key: 'n' | 'd'): number => new Set(drawn.map((point) => point[key])).size;
    if (drawn.length < parameterCount || distinct('n') < 2 || distinct('d') < 2) continue;
    const objective = problem.objective(weights);
    const minima = starts.map((start) =>
      minimise(objective, start, problem.box, { iterations: 200, tolerance: 1e-9, restarts: 1 }),
    );
    const best = minima.reduce((p, q) => (q.value < p.value ? q : p));
    samples.push(problem.parameters(best.x));
  }
  return { samples, degenerate: replicates - samples.length };
}
