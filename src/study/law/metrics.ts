/** A fit as metrics, one number a name. */
import type { ComputeAnswer } from './compute-optimal.ts';
import type { LawQuantity, ScalingLawFit } from './fit.ts';

const quantities: readonly LawQuantity[] = ['A', 'B', 'E', 'alpha', 'beta', 'a'];

/** Parameters with `_low` and `_high`, quality of the fit, and the answer of the first budget (names `optimal_…`). */
export function lawMetrics(
  fit: ScalingLawFit,
  answers: readonly ComputeAnswer[],
  leftOut: number,
): { metric: string; value: number }[] {
  const metrics: { metric: string; value: number }[] = [];
  const add = (metric: string, value: number): void => void metrics.push({ metric, value });
  for (const name of quantities) {
    add(name, fit[name]);
    const interval = fit.interval?.[name];
    if (interval !== undefined) {
      add(`${name}_low`, interval[0]);
      add(`${name}_high`, interval[1]);
    }
  }
  add('objective', fit.objective);
  add('rms_log_error', fit.rmsLog);
  add('runs', fit.points.length);
  add('runs_left_out', leftOut);
  add('runs_dropped_as_highest', fit.dropped);
  add('parameters_on_bound', fit.onBound.length);
  const answer = answers[0];
  if (answer !== undefined) {
    add('optimal_compute', answer.compute);
    for (const [key, name] of [
      ['n', 'optimal_parameters'],
      ['d', 'optimal_pairs'],
      ['loss', 'optimal_loss'],
    ] as const) {
      add(name, answer[key]);
      if (answer.interval !== undefined) {
        add(`${name}_low`, answer.interval[key][0]);
        add(`${name}_high`, answer.interval[key][1]);
      }
    }
  }
  return metrics;
}
