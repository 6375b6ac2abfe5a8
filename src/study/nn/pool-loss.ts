import type { Embeddings } from './embed.ts';

/**
 * Symmetric contrastive loss of a pool, in nats: every image against every caption of it and the other way about. A model
 * that knows nothing gets ln(count). `scale` is the logit scale itself, not its logarithm.
 */
export function poolLoss({ count, width, image, text }: Embeddings, scale: number): number {
  const logits = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      let dot = 0;
      for (let c = 0; c < width; c++) dot += image[i * width + c]! * text[j * width + c]!;
      logits[i * count + j] = scale * dot;
    }
  }
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const diagonal = logits[i * count + i]!;
    loss += logSum(logits, i * count, 1, count) + logSum(logits, i, count, count) - 2 * diagonal;
  }
  return loss / (2 * count);
}

function logSum(logits: Float64Array, from: number, stride: number, count: number): number {
  let max = -Infinity;
  for (let index = 0; index < count; index++) max = Math.max(max, logits[from + index * stride]!);
  let sum = 0;
  for (let index = 0; index < count; index++) sum += Math.exp(logits[from + index * stride]! - max);
  return max + Math.log(sum);
}
