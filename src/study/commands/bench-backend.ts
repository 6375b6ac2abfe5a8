import { randomOf } from '../data/random.ts';
import type { Backend } from '../nn/backend.ts';
import type { ModelConfig } from '../nn/model-config.ts';
import { patchCount } from '../nn/model-config.ts';
import { flopsPerMac, modelSize } from '../nn/model-size.ts';
import { initialWeights, parametersOf } from '../nn/parameters.ts';
import { defaultOptimiser } from '../nn/optimiser.ts';
import { trainStep } from '../nn/train-step.ts';

export interface BenchResult {
  readonly backend: string;
  readonly device: string;
  readonly threads: number;
  readonly size: string;
  readonly batch: number;
  /** From nothing to the end of the first step: recording and loading a graph, or warming up. */
  readonly first_ms: number;
  /** Median of the later steps. */
  readonly step_ms: number;
  readonly pairs_per_second: number;
  readonly gflop_per_second: number;
}

/** Times training steps on random pairs: the first, and `repeats` more after three that are not counted. */
export function benchBackend(backend: Backend, config: ModelConfig, batch: number, repeats: number): BenchResult {
  const random = randomOf('bench');
  const { context, vocabulary } = config.text;
  const data = {
    patches: Float32Array.from({ length: batch * patchCount(config) * 3 * config.image.patch ** 2 }, () => random.normal()),
    ids: Int32Array.from({ length: batch * context }, () => random.below(vocabulary)),
    ends: Int32Array.from({ length: batch }, (_, index) => index * context + random.below(context)),
  };
  const state = initialWeights(parametersOf(config), 1);
  const started = performance.now();
  const step = trainStep(backend, config, batch, defaultOptimiser, state);
  const times: number[] = [];
  try {
    step.update(data, 1, 1e-4);
    const first = performance.now() - started;
    for (let index = 0; index < repeats + 3; index++) {
      const before = performance.now();
      step.update(data, index + 2, 1e-4);
      if (index >= 3) times.push(performance.now() - before);
    }
    const median = times.sort((a, b) => a - b)[times.length >> 1]!;
    return {
      backend: backend.label,
      device: backend.device,
      threads: backend.threads,
      size: config.name,
      batch,
      first_ms: first,
      step_ms: median,
      pairs_per_second: (1000 * batch) / median,
      gflop_per_second: (flopsPerMac * modelSize(config).macsPerPair * batch) / median / 1e6,
    };
  } finally {
    step.dispose();
  }
}
