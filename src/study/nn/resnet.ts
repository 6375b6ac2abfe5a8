/** CLIP's modified ResNet (Radford et al., 2021): three stem convolutions, bottlenecks that pool before they stride, attention pooling. */
import { batchNorm, convolve, meanPool, rectifiedRows } from './resnet-layers.ts';
import type { BatchStatistics } from './resnet-layers.ts';
import { crossAttention, joinSequences } from './decoder-layers.ts';
import type { Tensor } from './kernels.ts';
import { add, addPositions, dense, normalise } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import type { Parameter } from './parameters.ts';
import type { Tape } from './tape.ts';
import type { WeightOf } from './transformer.ts';
import { weightedGroups } from './sequence-layers.ts';

/** Stem width (64 for RN50, 80 for RN50x4) and bottlenecks of the four stages. */
export interface ResNetShape {
  readonly width: number;
  readonly blocks: readonly [number, number, number, number];
}

interface Convolution {
  readonly name: string;
  readonly size: 1 | 3;
  readonly from: number;
  readonly to: number;
  /** Sides of the picture that it gives. */
  readonly side: number;
}

interface Bottleneck {
  readonly name: string;
  readonly first: Convolution;
  readonly second: Convolution;
  readonly third: Convolution;
  readonly shortcut: Convolution | null;
  readonly pooled: boolean;
}

/** The layers in order, with the sides of what they give. The stem halves the picture twice, stages 2 to 4 once each. */
function layersOf({ width, blocks }: ResNetShape, resolution: number): { readonly stem: readonly Convolution[]; readonly bottlenecks: readonly Bottleneck[] } {
  const half = Math.ceil(resolution / 2);
  const stem: Convolution[] = [
    { name: 'image.stem1', size: 3, from: 3, to: width / 2, side: half },
    { name: 'image.stem2', size: 3, from: width / 2, to: width / 2, side: half },
    { name: 'image.stem3', size: 3, from: width / 2, to: width, side: half },
  ];
  let side = Math.floor(half / 2);
  let from = width;
  const bottlenecks = blocks.flatMap((count, stage) =>
    Array.from({ length: count }, (_, block): Bottleneck => {
      const inner = width * 2 ** stage;
      const pooled = stage > 0 && block === 0;
      const before = side;
      if (pooled) side = Math.floor(side / 2);
      const name = `image.stage${stage}.block${block}`;
      const into = from;
      from = 4 * inner;
      return {
        name,
        first: { name: `${name}.first`, size: 1, from: into, to: inner, side: before },
        second: { name: `${name}.second`, size: 3, from: inner, to: inner, side: before },
        third: { name: `${name}.third`, size: 1, from: inner, to: 4 * inner, side },
        shortcut: pooled || into !== 4 * inner ? { name: `${name}.shortcut`, size: 1, from: into, to: 4 * inner, side } : null,
        pooled,
      };
    }),
  );
  return { stem, bottlenecks };
}

const convolutionsOf = (shape: ResNetShape, resolution: number): readonly Convolution[] => {
  const { stem, bottlenecks } = layersOf(shape, resolution);
  return [...stem, ...bottlenecks.flatMap(({ first, second, third, shortcut }) => [first, second, third, ...(shortcut === null ? [] : [shortcut])])];
};

/** Every weight of the image tower, its projection included. Means and variances are kept, not trained, and count as no parameters. */
export function resNetParameters(config: ModelConfig): readonly Parameter[] {
  const { resnet, resolution, width, patch } = config.image;
  const constant = (value: number) => ({ kind: 'constant', value }) as const;
  const normal = (deviation: number) => ({ kind: 'normal', deviation }) as const;
  const part = 'image tower';
  const normOf = (name: string, channels: number): Parameter[] => [
    // The last norm of a bottleneck begins at zero, so that the block begins as its shortcut.
    { name: `${name}.norm.gain`, shape: [channels], initial: constant(name.endsWith('.third') ? 0 : 1), decay: false, part },
    { name: `${name}.norm.bias`, shape: [channels], initial: constant(0), decay: false, part },
    { name: `${name}.norm.mean`, shape: [channels], initial: constant(0), decay: false, part, frozen: true, kept: true },
    { name: `${name}.norm.variance`, shape: [channels], initial: constant(1), decay: false, part, frozen: true, kept: true },
  ];
  const linear = (name: string, from: number, to: number): Parameter[] => [
    { name: `${name}.weight`, shape: [from, to], initial: normal(width ** -0.5), decay: true, part },
    { name: `${name}.bias`, shape: [to], initial: constant(0), decay: false, part },
  ];
  return [
    ...convolutionsOf(resnet!, resolution).flatMap(({ name, size, from, to }): Parameter[] => [
      { name: `${name}.weight`, shape: [size * size * from, to], initial: normal((size * size * from) ** -0.5), decay: true, part },
      ...normOf(name, to),
    ]),
    { name: 'image.pool.positions', shape: [(resolution / patch) ** 2 + 1, width], initial: normal(width ** -0.5), decay: false, part },
    ...linear('image.pool.query', width, width),
    ...linear('image.pool.key', width, width),
    ...linear('image.pool.value', width, width),
    ...linear('image.pool.projection', width, config.embedding),
  ];
}

/** Multiply-accumulates of one image, forward. */
export function resNetMacs({ image, embedding }: ModelConfig): number {
  const tokens = (image.resolution / image.patch) ** 2 + 1;
  const convolutions = convolutionsOf(image.resnet!, image.resolution).reduce((sum, { size, from, to, side }) => sum + size * size * from * to * side * side, 0);
  // One query over all tokens.
  return convolutions + (2 * tokens + 1) * image.width ** 2 + 2 * tokens * image.width + image.width * embedding;
}

/**
 * `pixels [batch * resolution², 3]`, normalised, to embeddings `[batch, embedding]` at unit length. Where `statistics` is given the norms
 * take those of the batch and note them there; else those that were kept.
 */
export function embedByResNet(tape: Tape, weight: WeightOf, config: ModelConfig, pixels: Tensor, batch: number, statistics: BatchStatistics | null): Tensor {
  const { resnet, resolution, heads } = config.image;
  const { stem, bottlenecks } = layersOf(resnet!, resolution);
  const apply = (x: Tensor, { name, size }: Convolution, side: number, stride: 1 | 2 = 1): Tensor =>
    batchNorm(tape, convolve(tape, x, weight(`${name}.weight`), { batch, side, size, stride }), weight, `${name}.norm`, statistics);
  let x = pixels;
  let side = resolution;
  stem.forEach((layer, index) => {
    x = rectifiedRows(tape, apply(x, layer, side, index === 0 ? 2 : 1));
    side = layer.side;
  });
  x = meanPool(tape, x, batch, side);
  side = Math.floor(side / 2);
  for (const { first, second, third, shortcut, pooled } of bottlenecks) {
    let h = rectifiedRows(tape, apply(x, first, side));
    h = rectifiedRows(tape, apply(h, second, side));
    if (pooled) h = meanPool(tape, h, batch, side);
    let own = x;
    if (shortcut !== null && pooled) own = meanPool(tape, x, batch, side);
    side = third.side;
    h = apply(h, third, side);
    if (shortcut !== null) own = apply(own, shortcut, side);
    x = rectifiedRows(tape, add(tape, h, own));
  }
  // Attention pooling: the mean asks, all places and the mean answer.
  const places = side * side;
  const shares = tape.kernels.constant(new Float32Array(batch * places).fill(1 / places), [batch * places, 1]);
  const mean = weightedGroups(tape, x, shares, places);
  const tokens = addPositions(tape, joinSequences(tape, mean, x, batch), weight('image.pool.positions'), batch);
  const asked = addFirst(tape, mean, weight('image.pool.positions'));
  const linear = (of: Tensor, name: string): Tensor => dense(tape, of, weight(`image.pool.${name}.weight`), weight(`image.pool.${name}.bias`));
  const keysValues = beside(tape, linear(tokens, 'key'), linear(tokens, 'value'));
  const pooled = crossAttention(tape, linear(asked, 'query'), keysValues, batch, heads);
  return normalise(tape, linear(pooled, 'projection'));
}

/** The first of `positions [tokens, width]` added to each row of `x [batch, width]`. */
function addFirst(tape: Tape, x: Tensor, positions: Tensor): Tensor {
  const { kernels } = tape;
  const [tokens, width] = positions.shape as [number, number];
  const first = kernels.reshape(kernels.slice(positions, [0, 0], [1, width]), [width]);
  return tape.record([x, positions], kernels.biasAdd(x, first), (dy) => {
    const own = kernels.reshape(kernels.biasGradient(dy), [1, width]);
    return [dy, kernels.concat([own, kernels.constant(new Float32Array((tokens - 1) * width), [tokens - 1, width])], 0)];
  });
}

function beside(tape: Tape, a: Tensor, b: Tensor): Tensor {
  const { kernels } = tape;
  const [rows, width] = a.shape as [number, number];
  return tape.record([a, b], kernels.concat([a, b], 1), (dy) => [kernels.slice(dy, [0, 0], [rows, width]), kernels.slice(dy, [0, width], [rows, width])]);
}

