/**
 * Tip-Adapter (Zhang et al., 2022): a few training images are kept as keys with their labels as values, and what an image is like
 * among them is added to what the prompts say: logits = scale · f W + α · exp(−β (1 − f K)) V. Tip-Adapter-F trains K.
 */
import { randomOf } from '../data/random.ts';
import type { LabelledFeatures } from './linear-probe.ts';

/** The kept images: keys `[shots, width]`, and the class of each, which stands for a one-hot row of V. */
export interface Cache {
  readonly keys: Float64Array;
  readonly labels: Int32Array;
}

export interface TipAdapter extends Cache {
  readonly alpha: number;
  readonly beta: number;
  readonly validationAccuracy: number;
}

/** What does not change from image to image. */
export interface TipProblem {
  readonly width: number;
  readonly classes: number;
  /** W: unit vectors of the classes' prompts, `[classes, width]`. */
  readonly prompts: Float64Array;
  /** Factor of the prompts' cosines; CLIP's is 100. */
  readonly scale: number;
}

/** Evenly spaced in the logarithm, from 0.1 to 500: small towers give cosines so far apart that 100 times them outvotes a smaller α. */
export const tipGrid: readonly number[] = Array.from({ length: 20 }, (_, i) => 0.1 * 5000 ** (i / 19));

/** At most `shots` images of each class, drawn by seed, as keys at unit length, and the rows that are left. */
export function drawCache({ features, labels }: LabelledFeatures, width: number, classes: number, shots: number, seed: number): Cache & { readonly rest: readonly number[] } {
  const random = randomOf('tip-adapter', seed);
  const order = Array.from(labels, (label, row) => ({ label, row, key: random.next() })).sort((x, y) => x.key - y.key);
  const drawn = Array.from({ length: classes }, (_, of) => order.filter(({ label }) => label === of).slice(0, shots)).flat();
  const keys = new Float64Array(drawn.length * width);
  drawn.forEach(({ row }, index) => {
    const own = features.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...own);
    if (!(length > 0)) throw new RangeError(`the features of row ${row} have no direction`);
    for (let i = 0; i < width; i++) keys[index * width + i] = own[i]! / length;
  });
  const kept = new Set(drawn.map(({ row }) => row));
  const rest = Array.from(labels, (_, row) => row).filter((row) => !kept.has(row) && labels[row]! >= 0);
  return { keys, labels: Int32Array.from(drawn, ({ label }) => label), rest };
}

/** Products of each image with each key, `[images, shots]`; features are of unit length. */
export function affinities({ keys, labels }: Cache, features: Float32Array, width: number): Float64Array {
  const [images, shots] = [features.length / width, labels.length];
  const products = new Float64Array(images * shots);
  for (let image = 0; image < images; image++) {
    for (let shot = 0; shot < shots; shot++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += features[image * width + i]! * keys[shot * width + i]!;
      products[image * shots + shot] = sum;
    }
  }
  return products;
}

/** scale · f W, `[images, classes]`. */
export function promptLogits({ prompts, width, classes, scale }: TipProblem, features: Float32Array): Float64Array {
  return affinities({ keys: prompts, labels: new Int32Array(classes) }, features, width).map((cosine) => scale * cosine);
}

/** exp(−β (1 − f K)) V, `[images, classes]`: what the cache says, before α. */
export function cacheVotes({ labels }: Pick<Cache, 'labels'>, products: Float64Array, classes: number, beta: number): Float64Array {
  const shots = labels.length;
  const images = products.length / shots;
  const votes = new Float64Array(images * classes);
  for (let image = 0; image < images; image++) {
    for (let shot = 0; shot < shots; shot++) votes[image * classes + labels[shot]!]! += Math.exp(-beta * (1 - products[image * shots + shot]!));
  }
  return votes;
}

/** Logits of Tip-Adapter, `[images, classes]`. */
export function tipLogits(problem: TipProblem, { alpha, beta, ...cache }: Cache & { readonly alpha: number; readonly beta: number }, features: Float32Array): Float64Array {
  const votes = cacheVotes(cache, affinities(cache, features, problem.width), problem.classes, beta);
  return promptLogits(problem, features).map((logit, index) => logit + alpha * votes[index]!);
}

/** α and β with the best accuracy on validation images; of equals the smaller β, then α, which lean on the prompts. */
export function searchTip(problem: TipProblem, cache: Cache, validation: LabelledFeatures, grid: readonly number[] = tipGrid): TipAdapter {
  const { classes, width } = problem;
  const products = affinities(cache, validation.features, width);
  const plain = promptLogits(problem, validation.features);
  let best: TipAdapter | null = null;
  for (const beta of grid) {
    const votes = cacheVotes(cache, products, classes, beta);
    for (const alpha of grid) {
      let right = 0;
      for (let row = 0; row < validation.labels.length; row++) {
        const at = (of: number): number => plain[row * classes + of]! + alpha * votes[row * classes + of]!;
        let top = 0;
        for (let of = 1; of < classes; of++) if (at(of) > at(top)) top = of;
        if (top === validation.labels[row]) right++;
      }
      const validationAccuracy = right / validation.labels.length;
      if (best === null || validationAccuracy > best.validationAccuracy) best = { keys: cache.keys, labels: cache.labels, alpha, beta, validationAccuracy };
    }
  }
  if (best === null) throw new RangeError('a search needs at least one value');
  return best;
}

/**
 * Mean cross-entropy of images under keys, and its gradient `[shots, width]` with regard to them:
 * ∂/∂K_s = Σ_i α β exp(−β (1 − f_i K_s)) (p_i,c(s) − [label_i = c(s)]) f_i / images.
 */
export function keyLoss(
  problem: TipProblem,
  cache: Cache,
  { features, labels }: LabelledFeatures,
  { alpha, beta }: { readonly alpha: number; readonly beta: number },
): { readonly loss: number; readonly gradient: Float64Array } {
  const { width, classes } = problem;
  const shots = cache.labels.length;
  const images = labels.length;
  const products = affinities(cache, features, width);
  const votes = cacheVotes(cache, products, classes, beta);
  const logits = promptLogits(problem, features).map((logit, index) => logit + alpha * votes[index]!);
  const gradient = new Float64Array(shots * width);
  let loss = 0;
  for (let image = 0; image < images; image++) {
    const line = logits.subarray(image * classes, (image + 1) * classes);
    const max = line.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = line.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
    loss += max + Math.log(total) - line[labels[image]!]!;
    for (let shot = 0; shot < shots; shot++) {
      const of = cache.labels[shot]!;
      const error = Math.exp(line[of]! - max) / total - (of === labels[image] ? 1 : 0);
      const slope = (alpha * beta * Math.exp(-beta * (1 - products[image * shots + shot]!)) * error) / images;
      for (let i = 0; i < width; i++) gradient[shot * width + i]! += slope * features[image * width + i]!;
    }
  }
  return { loss: loss / images, gradient };
}

export interface KeyTraining {
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
}

/** As the original trains ImageNet: AdamW at 1e-3 with ε 1e-4 and cosine, 20 epochs of batches of 256, weight decay 0.01. */
export const tipTraining: KeyTraining = { epochs: 20, batch: 256, learningRate: 1e-3, seed: 1 };

const [beta1, beta2, epsilon, weightDecay] = [0.9, 0.999, 1e-4, 0.01];

/** Tip-Adapter-F: the cache with its keys trained on images under its α and β, and the mean loss of each epoch as its steps go. */
export function trainKeys(
  problem: TipProblem,
  cache: Cache & { readonly alpha: number; readonly beta: number },
  { features, labels }: LabelledFeatures,
  { epochs, batch, learningRate, seed }: KeyTraining = tipTraining,
): { readonly cache: Cache; readonly losses: readonly number[] } {
  const { width } = problem;
  const keys = cache.keys.slice();
  const [first, second] = [new Float64Array(keys.length), new Float64Array(keys.length)];
  const random = randomOf('tip-adapter-f', seed);
  const perEpoch = Math.max(1, Math.ceil(labels.length / batch));
  const losses: number[] = [];
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = Array.from(labels, (_, row) => ({ row, key: random.next() })).sort((x, y) => x.key - y.key);
    let sum = 0;
    for (let from = 0; from < order.length; from += batch) {
      const rows = order.slice(from, from + batch).map(({ row }) => row);
      const some = new Float32Array(rows.length * width);
      rows.forEach((row, index) => some.set(features.subarray(row * width, (row + 1) * width), index * width));
      const { loss, gradient } = keyLoss(problem, { keys, labels: cache.labels }, { features: some, labels: rows.map((row) => labels[row]!) }, cache);
      sum += loss * rows.length;
      const rate = (learningRate * (1 + Math.cos((Math.PI * step) / (epochs * perEpoch)))) / 2;
      step++;
      for (let i = 0; i < keys.length; i++) {
        first[i] = beta1 * first[i]! + (1 - beta1) * gradient[i]!;
        second[i] = beta2 * second[i]! + (1 - beta2) * gradient[i]! ** 2;
        const ahead = first[i]! / (1 - beta1 ** step) / (Math.sqrt(second[i]! / (1 - beta2 ** step)) + epsilon);
        keys[i] = keys[i]! - rate * (ahead + weightDecay * keys[i]!);
      }
    }
    losses.push(sum / labels.length);
  }
  return { cache: { keys, labels: cache.labels }, losses };
}
