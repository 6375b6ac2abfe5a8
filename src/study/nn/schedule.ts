/**
 * Learning rate at `step` (from 1) of `steps`: linear warm-up over the first `warmup` share of the run, then half a cosine
 * down to zero at the run's own end (Loshchilov and Hutter, 2017).
 */
export function cosineRate(step: number, steps: number, peak: number, warmup: number): number {
  const rise = Math.max(1, Math.round(steps * warmup));
  if (warmup > 0 && step <= rise) return (peak * step) / rise;
  const from = warmup > 0 ? rise : 0;
  const share = (step - from) / Math.max(1, steps - from + 1);
  return (peak * (1 + Math.cos(Math.PI * share))) / 2;
}

export const schedules = ['cosine', 'linear', 'constant'] as const;
export type Schedule = (typeof schedules)[number];

/** Learning rate at `step` (from 1) of `steps`: the warm-up of cosineRate, then its cosine, a straight line to zero, or the peak. */
export function rateAt(schedule: Schedule, step: number, steps: number, peak: number, warmup: number): number {
  if (schedule === 'cosine') return cosineRate(step, steps, peak, warmup);
  const rise = warmup > 0 ? Math.max(1, Math.round(steps * warmup)) : 0;
  if (step <= rise) return (peak * step) / rise;
  return schedule === 'constant' ? peak : peak * (1 - (step - rise) / (steps - rise + 1));
}
