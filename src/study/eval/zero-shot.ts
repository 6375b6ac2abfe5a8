/** Classification by prompts alone: an image belongs to the class whose mean prompt embedding is nearest. */

export interface ZeroShotScores {
  readonly accuracy: number;
  /** Mean over classes of the share of their images that are classified right. */
  readonly balancedAccuracy: number;
  /** Mean over classes of the area under the curve of one class against the others; classes without both are left out. */
  readonly macroAuc: number;
  /** Balanced accuracy of guessing. */
  readonly chance: number;
}

/**
 * Unit vectors of classes, `[classes, width]`: the mean of each class's normalised prompt embeddings, normalised again
 * (prompt ensembling; Radford et al., 2021, section 3.1.4).
 * @param prompts embeddings of prompts, `[prompts, width]`
 * @param classOf the class of each prompt, `[prompts]`
 */
export function classEmbeddings(prompts: Float32Array, width: number, classOf: ArrayLike<number>, classes: number): Float64Array {
  const sums = new Float64Array(classes * width);
  for (let prompt = 0; prompt < classOf.length; prompt++) {
    const row = prompts.subarray(prompt * width, (prompt + 1) * width);
    const length = Math.hypot(...row);
    if (!(length > 0)) throw new RangeError(`the embedding of prompt ${prompt} has no direction`);
    for (let i = 0; i < width; i++) sums[classOf[prompt]! * width + i]! += row[i]! / length;
  }
  for (let of = 0; of < classes; of++) {
    const row = sums.subarray(of * width, (of + 1) * width);
    const length = Math.hypot(...row);
    if (!(length > 0)) throw new RangeError(`class ${of} has no prompt`);
    for (let i = 0; i < width; i++) row[i]! /= length;
  }
  return sums;
}

/** Cosine of each image with each class, `[images, classes]`; images are of unit length. */
export function classScores(images: Float32Array, classes: Float64Array, width: number): Float64Array {
  const [n, k] = [images.length / width, classes.length / width];
  const scores = new Float64Array(n * k);
  for (let image = 0; image < n; image++) {
    for (let of = 0; of < k; of++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += images[image * width + i]! * classes[of * width + i]!;
      scores[image * k + of] = sum;
    }
  }
  return scores;
}

/**
 * Log of the mean over each class's prompts of e^score, `[images, classes]`. Of scores log p(prompt | image) less log p(prompt) that is
 * how much likelier the image makes a prompt of the class, whichever it is.
 * @param scores `[images, width]`, one a prompt
 * @param places where the prompts' scores are, `[prompts]`
 * @param classOf the class of each prompt, `[prompts]`
 */
export function likelihoodScores(scores: Float32Array, places: readonly number[], classOf: readonly number[], { width, classes }: { readonly width: number; readonly classes: number }): Float64Array {
  const images = scores.length / width;
  const result = new Float64Array(images * classes);
  for (let of = 0; of < classes; of++) {
    const own = places.filter((_, prompt) => classOf[prompt] === of);
    if (own.length === 0) throw new RangeError(`class ${of} has no prompt`);
    for (let image = 0; image < images; image++) {
      const values = own.map((place) => scores[image * width + place]!);
      const max = Math.max(...values);
      result[image * classes + of] = max + Math.log(values.reduce((sum, value) => sum + Math.exp(value - max), 0) / own.length);
    }
  }
  return result;
}

/** How right each prediction is, `[images]`: 1 or 0, and where its class ties with others at the top, its share of the tie. */
export function rightShares(scores: ArrayLike<number>, labels: ArrayLike<number>, classes: number): Float64Array {
  return Float64Array.from(labels, (label, image) => {
    const row = Array.from({ length: classes }, (_, of) => scores[image * classes + of]!);
    const best = Math.max(...row);
    return row[label] === best ? 1 / row.filter((score) => score === best).length : 0;
  });
}

/**
 * Scores of predictions `[images, classes]` against labels `[images]`. Ties between classes count as the share of being right,
 * and as a half in the area under the curve, so that a model that gives everything one score stands at chance.
 */
export function scoreClasses(scores: ArrayLike<number>, labels: ArrayLike<number>, classes: number): ZeroShotScores {
  const right = new Float64Array(classes);
  const count = new Float64Array(classes);
  const rightness = rightShares(scores, labels, classes);
  for (let image = 0; image < labels.length; image++) {
    count[labels[image]!]!++;
    right[labels[image]!]! += rightness[image]!;
  }
  const present = [...count.keys()].filter((of) => count[of]! > 0);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const areas = present.flatMap((of) => {
    const own: number[] = [];
    const others: number[] = [];
    for (let image = 0; image < labels.length; image++) (labels[image] === of ? own : others).push(scores[image * classes + of]!);
    return others.length === 0 ? [] : [areaUnderCurve(own, others)];
  });
  return {
    accuracy: right.reduce((sum, value) => sum + value, 0) / labels.length,
    balancedAccuracy: mean(present.map((of) => right[of]! / count[of]!)),
    macroAuc: mean(areas),
    chance: 1 / classes,
  };
}

/** P(positive > negative) + P(equal) / 2, by ranks (Mann and Whitney). */
export function areaUnderCurve(positives: readonly number[], negatives: readonly number[]): number {
  const all = [...positives.map((score) => ({ score, positive: true })), ...negatives.map((score) => ({ score, positive: false }))];
  all.sort((x, y) => x.score - y.score);
  let rankSum = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]!.score === all[from]!.score) to++;
    const rank = (from + 1 + to) / 2;
    for (let i = from; i < to; i++) if (all[i]!.positive) rankSum += rank;
    from = to;
  }
  const p = positives.length;
  return (rankSum - (p * (p + 1)) / 2) / (p * negatives.length);
}
