/** A linear classifier on frozen features: multinomial logistic regression with an L2 penalty chosen on validation data. */

export interface LabelledFeatures {
  /** `[rows, width]` */
  readonly features: Float32Array;
  /** Class of each row, 0 … classes − 1. */
  readonly labels: ArrayLike<number>;
}

export interface LinearProbe {
  /** `[classes, width]` and `[classes]`. */
  readonly weights: Float64Array;
  readonly biases: Float64Array;
  readonly penalty: number;
  readonly validationAccuracy: number;
}

/** Values from 1e-6 to 1e6, evenly spaced in the logarithm. */
export const penaltiesOf = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => 10 ** (-6 + (12 * i) / (count - 1)));

/** 45 of them, as in CLIP's protocol. */
export const probePenalties = penaltiesOf(45);

/**
 * The probe of the penalty with the best validation accuracy; of equals the strongest. Each fit starts from that of the
 * penalty before, strongest first.
 */
export function fitLinearProbe(
  train: LabelledFeatures,
  validation: LabelledFeatures,
  { width, classes, penalties = probePenalties }: { readonly width: number; readonly classes: number; readonly penalties?: readonly number[] },
): LinearProbe {
  let best: LinearProbe | null = null;
  let theta: Float64Array = new Float64Array(classes * (width + 1));
  for (const penalty of penalties.toSorted((a, b) => b - a)) {
    theta = minimiseSmooth((x, gradient) => logLoss(train, width, classes, penalty, x, gradient), theta);
    const probe = { weights: theta.slice(0, classes * width), biases: theta.slice(classes * width), penalty, validationAccuracy: 0 };
    const validationAccuracy = accuracyOf(classLogits(probe, validation.features, width), validation.labels, classes);
    if (best === null || validationAccuracy > best.validationAccuracy) best = { ...probe, validationAccuracy };
  }
  if (best === null) throw new RangeError('a probe needs at least one penalty');
  return best;
}

/** Logits `[rows, classes]` of features `[rows, width]`. */
export function classLogits({ weights, biases }: Pick<LinearProbe, 'weights' | 'biases'>, features: Float32Array, width: number): Float64Array {
  const classes = biases.length;
  const rows = features.length / width;
  const logits = new Float64Array(rows * classes);
  for (let row = 0; row < rows; row++) {
    for (let of = 0; of < classes; of++) {
      let sum = biases[of]!;
      for (let i = 0; i < width; i++) sum += features[row * width + i]! * weights[of * width + i]!;
      logits[row * classes + of] = sum;
    }
  }
  return logits;
}

function accuracyOf(logits: Float64Array, labels: ArrayLike<number>, classes: number): number {
  let right = 0;
  for (let row = 0; row < labels.length; row++) {
    let best = 0;
    for (let of = 1; of < classes; of++) if (logits[row * classes + of]! > logits[row * classes + best]!) best = of;
    if (best === labels[row]) right++;
  }
  return right / labels.length;
}

/** Mean cross-entropy plus penalty / 2 · ‖weights‖² over rows; biases are free. Gradient into `gradient`. */
function logLoss({ features, labels }: LabelledFeatures, width: number, classes: number, penalty: number, theta: Float64Array, gradient: Float64Array): number {
  const rows = labels.length;
  gradient.fill(0);
  const offset = classes * width;
  const logits = classLogits({ weights: theta.subarray(0, offset), biases: theta.subarray(offset) }, features, width);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const line = logits.subarray(row * classes, (row + 1) * classes);
    const max = line.reduce((a, b) => Math.max(a, b), -Infinity);
    let total = 0;
    for (let of = 0; of < classes; of++) total += Math.exp(line[of]! - max);
    const label = labels[row]!;
    loss += max + Math.log(total) - line[label]!;
    for (let of = 0; of < classes; of++) {
      const error = (Math.exp(line[of]! - max) / total - (of === label ? 1 : 0)) / rows;
      gradient[offset + of]! += error;
      for (let i = 0; i < width; i++) gradient[of * width + i]! += error * features[row * width + i]!;
    }
  }
  loss /= rows;
  for (let i = 0; i < offset; i++) {
    loss += ((penalty / rows) * theta[i]! ** 2) / 2;
    gradient[i]! += (penalty / rows) * theta[i]!;
  }
  return loss;
}

const memory = 10;

/** L-BFGS with backtracking (Nocedal and Wright, 2006, algorithm 7.5) for a smooth convex function of many parameters. */
function minimiseSmooth(objective: (x: Float64Array, gradient: Float64Array) => number, start: Float64Array): Float64Array {
  let x = start.slice();
  let gradient: Float64Array = new Float64Array(x.length);
  let value = objective(x, gradient);
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < 300; iteration++) {
    if (gradient.every((slope) => Math.abs(slope) < 1e-7)) break;
    const direction = twoLoop(gradient, steps);
    const slope = dot(direction, gradient);
    let length = steps.length === 0 ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient))) : 1;
    const next = new Float64Array(x.length);
    const nextGradient = new Float64Array(x.length);
    let nextValue = Infinity;
    for (let halvings = 0; halvings < 40; halvings++, length /= 2) {
      for (let i = 0; i < x.length; i++) next[i] = x[i]! + length * direction[i]!;
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * length * slope) break;
    }
    if (!(nextValue < value)) break;
    const s = next.map((v, i) => v - x[i]!);
    const y = nextGradient.map((v, i) => v - gradient[i]!);
    const curvature = dot(s, y);
    if (curvature > 1e-12) {
      steps.push({ s, y, rho: 1 / curvature });
      if (steps.length > memory) steps.shift();
    }
    const gain = value - nextValue;
    [x, gradient, value] = [next, nextGradient, nextValue];
    if (gain < 1e-7 * Math.abs(value)) break;
  }
  return x;
}

function twoLoop(gradient: Float64Array, steps: readonly { s: Float64Array; y: Float64Array; rho: number }[]): Float64Array {
  const q = gradient.map((value) => -value);
  const alphas: number[] = [];
  for (const { s, y, rho } of steps.toReversed()) {
    const alpha = rho * dot(s, q);
    alphas.push(alpha);
    for (let i = 0; i < q.length; i++) q[i]! -= alpha * y[i]!;
  }
  const last = steps.at(-1);
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let i = 0; i < q.length; i++) q[i]! *= scale;
  }
  steps.forEach(({ s, y, rho }, index) => {
    const beta = rho * dot(y, q);
    const alpha = alphas[steps.length - 1 - index]!;
    for (let i = 0; i < q.length; i++) q[i]! += (alpha - beta) * s[i]!;
  });
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
