/** Case bootstrap of a scaling law: runs are drawn with replacement, and the law is fitted again. */
import { randomOf } from '../data/random.ts';
import type { CentredProblem, ChinchillaParameters } from './chinchilla.ts';
import { minimise } from './minimise.ts';
import { type ScalingPoint, parameterCount } from './points.ts';

export interface BootstrapResult {
  readonly samples: readonly ChinchillaParameters[];
  /** Replicates with too few different points, one size or one number of samples: these fix no law. */
  readonly degenerate: number;
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
  for (let replicate = 0; replicate < replicates; replicate += 1) {
    const weights = new Float64Array(points.length);
    for (let draw = 0; draw < points.length; draw += 1) weights[random.below(points.length)]! += 1;
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
