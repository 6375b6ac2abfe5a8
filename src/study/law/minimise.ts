/**
 * Minimises a function of a few parameters within a box: BFGS on the free parameters with a weak Wolfe line search by
 * bisection, which also copes with functions that are hardly smooth, such as a Huber loss of small delta
 * (Lewis & Overton 2013, "Nonsmooth optimization via quasi-Newton methods").
 */

/** Returns the value at `x` and writes the gradient into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface Box {
  readonly lower: ArrayLike<number>;
  readonly upper: ArrayLike<number>;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
}

export interface MinimiseOptions {
  /** BFGS steps a restart; default 500. */
  readonly iterations?: number;
  /** Stops when a step improves the value by less than this share of it; default 1e-13. */
  readonly tolerance?: number;
  /** Restarts with a fresh metric until one no longer helps; default 4. */
  readonly restarts?: number;
}

/** A local minimum reached from `start`, which is moved into the box first. Values that are not finite count as infinitely bad. */
export function minimise(objective: Objective, start: ArrayLike<number>, box: Box, options: MinimiseOptions = {}): Minimum {
  const { iterations = 500, tolerance = 1e-13, restarts = 4 } = options;
  let best = descend(objective, project(Float64Array.from(start), box), box, iterations, tolerance);
  for (let restart = 0; restart < restarts; restart += 1) {
    const next = descend(objective, best.x, box, iterations, tolerance);
    const gain = best.value - next.value;
    if (gain > 0) best = { ...next, iterations: best.iterations + next.iterations };
    if (!(gain > tolerance * Math.abs(best.value))) break;
  }
  return best;
}

function project(x: Float64Array, box: Box): Float64Array {
  for (let i = 0; i < x.length; i += 1) x[i] = Math.min(box.upper[i]!, Math.max(box.lower[i]!, x[i]!));
  return x;
}

function descend(objective: Objective, start: Float64Array, box: Box, iterations: number, tolerance: number): Minimum {
  const size = start.length;
  let x: Float64Array = start.slice();
  let gradient: Float64Array = new Float64Array(size);
  let value = evaluate(objective, x, gradient);
  let metric = identity(size);
  let fresh = true;
  let small = 0;
  let iteration = 0;
  for (; iteration < iterations; iteration += 1) {
    // A parameter at its bound whose gradient pushes further outwards stays there.
    const free = Array.from(
      { length: size },
      (_, i) => !(x[i]! <= box.lower[i]! && gradient[i]! > 0) && !(x[i]! >= box.upper[i]! && gradient[i]! < 0),
    );
    const direction = descentDirection(metric, gradient, free);
    const slope = dot(direction, gradient);
    if (!(slope < 0)) {
      if (fresh) break;
      metric = identity(size);
      fresh = true;
      continue;
    }
    const scale = fresh ? Math.min(1, 0.1 / Math.sqrt(dot(direction, direction))) : 1;
    const step = lineSearch(objective, x, value, direction, slope, scale, box);
    if (step === undefined) {
      if (fresh) break;
      metric = identity(size);
      fresh = true;
      continue;
    }
    const moved = subtract(step.x, x);
    const turned = subtract(step.gradient, gradient);
    const gain = value - step.value;
    ({ x, gradient, value } = step);
    if (step.clipped) {
      metric = identity(size); // the box cut the step: its curvature says little about the free parameters
      fresh = true;
    } else {
      if (fresh) scaleMetric(metric, moved, turned);
      updateMetric(metric, moved, turned);
      fresh = false;
    }
    small = gain <= tolerance * Math.abs(value) ? small + 1 : 0;
    if (small >= 3) break;
  }
  return { x, value, iterations: iteration };
}

interface Step {
  readonly x: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  readonly clipped: boolean;
}

function lineSearch(
  objective: Objective,
  x: Float64Array,
  value: number,
  direction: Float64Array,
  slope: number,
  firstStep: number,
  box: Box,
): Step | undefined {
  let low = 0;
  let high = Infinity;
  let t = firstStep;
  let accepted: Step | undefined;
  for (let trial = 0; trial < 50; trial += 1) {
    const wanted = x.map((xi, i) => xi + t * direction[i]!);
    const next = project(wanted.slice(), box);
    const clipped = next.some((xi, i) => xi !== wanted[i]);
    const gradient = new Float64Array(x.length);
    const nextValue = evaluate(objective, next, gradient);
    const descent = clipped ? 1e-4 * Math.min(0, directional(next, x, slope, t, direction)) : 1e-4 * t * slope;
    if (!(nextValue < value && nextValue <= value + descent)) {
      high = t;
    } else {
      accepted = { x: next, value: nextValue, gradient, clipped };
      if (clipped || dot(gradient, direction) >= 0.9 * slope) return accepted;
      low = t;
    }
    t = high < Infinity ? (low + high) / 2 : 2 * t;
    if (high - low <= 1e-14 * high) break;
  }
  return accepted;
}

/** First-order change along a step that the box has cut: the part of `t·slope` that is left. */
function directional(next: Float64Array, x: Float64Array, slope: number, t: number, direction: Float64Array): number {
  const length = Math.sqrt(dot(direction, direction)) * t;
  const made = Math.sqrt(next.reduce((sum, xi, i) => sum + (xi - x[i]!) ** 2, 0));
  return length === 0 ? 0 : t * slope * (made / length) ** 2;
}

function evaluate(objective: Objective, x: Float64Array, gradient: Float64Array): number {
  const value = objective(x, gradient);
  return Number.isNaN(value) ? Infinity : value;
}

function descentDirection(metric: Float64Array[], gradient: Float64Array, free: readonly boolean[]): Float64Array {
  return gradient.map((_, i) => (free[i] ? -metric[i]!.reduce((sum, h, j) => (free[j] ? sum + h * gradient[j]! : sum), 0) : 0));
}

/** BFGS update of the inverse Hessian; skipped where the curvature along the step is not positive. */
function updateMetric(metric: Float64Array[], moved: Float64Array, turned: Float64Array): void {
  const curvature = dot(moved, turned);
  if (!(curvature > 1e-300)) return;
  const product = metric.map((row) => dot(row, turned));
  const factor = (1 + dot(Float64Array.from(product), turned) / curvature) / curvature;
  for (let i = 0; i < moved.length; i += 1) {
    for (let j = 0; j < moved.length; j += 1) {
      metric[i]![j]! += factor * moved[i]! * moved[j]! - (product[i]! * moved[j]! + moved[i]! * product[j]!) / curvature;
    }
  }
}

function scaleMetric(metric: Float64Array[], moved: Float64Array, turned: Float64Array): void {
  const scale = dot(moved, turned) / dot(turned, turned);
  if (scale > 0 && Number.isFinite(scale)) metric.forEach((row, i) => (row[i] = scale));
}

function identity(size: number): Float64Array[] {
  return Array.from({ length: size }, (_, i) => Float64Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));
}

function subtract(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - b[i]!);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i]! * b[i]!;
  return sum;
}
