import type { Kernels, Tensor } from './kernels.ts';

export interface ContrastiveGradients {
  /** In nats. */
  readonly loss: Tensor;
  /** With regard to the embeddings `[batch, width]` and to the log of the scale. */
  readonly image: Tensor;
  readonly text: Tensor;
  readonly logScale: Tensor;
}

/**
 * The symmetric InfoNCE loss of `contrastiveLoss` and its gradients, `rows` rows of the logits at a time: memory grows with
 * batch · rows, not batch². `image` and `text` are `[batch, width]` at unit length.
 */
export function contrastiveInBlocks(kernels: Kernels, image: Tensor, text: Tensor, logScale: Tensor, rows: number): ContrastiveGradients {
  const batch = image.shape[0]!;
  const scale = kernels.exp(logScale);
  const starts = Array.from({ length: Math.ceil(batch / rows) }, (_, block) => block * rows);
  const block = (x: Tensor, from: number): Tensor => kernels.slice(x, [from, 0], [Math.min(rows, batch - from), x.shape[1]!]);
  /** Log of the sum of each row's exponentials, `[batch, 1]`. */
  const logSums = (a: Tensor, b: Tensor): Tensor => {
    const parts: Tensor[] = [];
    for (const from of starts) {
      const waits = parts.at(-1);
      parts.push(
        ...kernels.scope(() => {
          const some = block(a, from);
          const logits = kernels.multiply(kernels.matMul(waits === undefined ? some : kernels.after(some, waits), b, false, true), scale);
          const max = kernels.max(logits, 1);
          return [kernels.add(kernels.log(kernels.sum(kernels.exp(kernels.subtract(logits, max)), 1)), max)];
        }),
      );
    }
    return parts.length === 1 ? parts[0]! : kernels.concat(parts, 0);
  };
  const rowSums = logSums(image, text);
  const columnSums = kernels.after(logSums(text, image), rowSums);
  const columns = kernels.reshape(columnSums, [1, batch]);
  const share = kernels.scale(scale, 1 / (2 * batch));
  const imageParts: Tensor[] = [];
  let towardsText: Tensor | null = null;
  let towardsScale: Tensor | null = null;
  for (const from of starts) {
    const [textSum, scaleSum]: readonly [Tensor | null, Tensor | null] = [towardsText, towardsScale];
    const [imagePart, textPart, scalePart] = kernels.scope(() => {
      const some = block(image, from);
      const gated = textSum === null ? some : kernels.after(some, textSum);
      const logits = kernels.multiply(kernels.matMul(gated, text, false, true), scale);
      const both = kernels.add(
        kernels.exp(kernels.subtract(logits, block(rowSums, from))),
        kernels.exp(kernels.subtract(logits, columns)),
      );
      const towards = kernels.matMul(both, gated, true, false);
      const weighted = kernels.total(kernels.multiply(both, logits));
      return [
        kernels.matMul(both, text),
        textSum === null ? towards : kernels.add(textSum, towards),
        scaleSum === null ? weighted : kernels.add(scaleSum, weighted),
      ];
    });
    imageParts.push(imagePart!);
    towardsText = textPart!;
    towardsScale = scalePart!;
  }
  const towardsImage = imageParts.length === 1 ? imageParts[0]! : kernels.concat(imageParts, 0);
  // What the pairs themselves add, 2 on the diagonal of the logits' gradient.
  const pairs = kernels.multiply(kernels.total(kernels.multiply(image, text)), scale);
  const gradient = (sum: Tensor, other: Tensor): Tensor => kernels.multiply(kernels.subtract(sum, kernels.scale(other, 2)), share);
  return {
    loss: kernels.subtract(kernels.scale(kernels.total(kernels.add(rowSums, columnSums)), 1 / (2 * batch)), kernels.scale(pairs, 1 / batch)),
    image: gradient(towardsImage, text),
    text: gradient(towardsText!, image),
    logScale: kernels.subtract(kernels.scale(towardsScale!, 1 / (2 * batch)), kernels.scale(pairs, 1 / batch)),
  };
}
