/** Losses beside the contrastive one: words or patches are hidden, and the tower that reads the rest is asked for them. */
import { scaledRows } from './adapter-layers.ts';
import { imageTokens, lastNorm, textTokens } from './clip.ts';
import type { ImageFeeds, TextFeeds, TowerOptions } from './clip.ts';
import { lastRows, tokenLosses, weightedTotal } from './decoder-layers.ts';
import type { Random } from '../data/random.ts';
import type { Tensor } from './kernels.ts';
import { dense } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import { patchCount } from './model-config.ts';
import type { Tape } from './tape.ts';
import type { WeightOf } from './transformer.ts';

export const auxiliaryKinds = ['none', 'mlm', 'span', 'mim'] as const;

export interface Auxiliary {
  /**
   * `mlm`: 15 % of the tokens are picked; of these 80 % are hidden, 10 % replaced, 10 % left (Devlin et al., 2019). `span`: as many, in
   * runs of 3 on average, all hidden (Joshi et al., 2020). `mim`: 75 % of the patches are hidden, and their normalised pixels asked for.
   */
  readonly kind: 'mlm' | 'span' | 'mim';
  /** Of its loss, beside the contrastive one. */
  readonly weight: number;
}

const wordShare = 0.15;
const meanSpan = 3;
const patchShare = 0.75;

/**
 * Which tokens of `ids`, at places `from` up to `to`, are asked for, and what stands there instead. At least one is. The hidden token's
 * id is 0, the padding, which no caption of a remapped vocabulary holds.
 */
export function hideWords(kind: 'mlm' | 'span', ids: ArrayLike<number>, from: number, to: number, vocabulary: number, random: Random): { readonly place: number; readonly instead: number }[] {
  const most = Math.max(1, Math.round(wordShare * (to - from)));
  const picked = new Set<number>();
  while (picked.size < most) {
    const start = from + random.below(to - from);
    // Lengths are geometric, with that mean.
    let length = 1;
    while (kind === 'span' && random.next() > 1 / meanSpan) length++;
    for (let place = start; place < Math.min(to, start + length) && picked.size < most; place++) picked.add(place);
  }
  return [...picked].sort((a, b) => a - b).map((place) => {
    const draw = kind === 'span' ? 0 : random.next();
    return { place, instead: draw < 0.8 ? 0 : draw < 0.9 ? random.below(vocabulary) : ids[place]! };
  });
}

/** Which of `count` patches are hidden: three quarters of them, at least one and not all. */
export function hidePatches(count: number, random: Random): Uint8Array {
  const hidden = new Uint8Array(count);
  const most = Math.min(count - 1, Math.max(1, Math.round(patchShare * count)));
  for (let at = 0, taken = 0; taken < most; at++) {
    if (random.next() * (count - at) < most - taken) {
      hidden[at] = 1;
      taken++;
    }
  }
  return hidden;
}

export interface AuxiliaryFeeds {
  readonly image: ImageFeeds;
  readonly text: TextFeeds;
  /** For words: ids with some hidden, what was there, and 1 where it is asked for. */
  readonly masked: Tensor | undefined;
  readonly targets: Tensor | undefined;
  readonly counted: Tensor | undefined;
  /** For patches: 1 where one is hidden, `[batch * patches, 1]`. */
  readonly hidden: Tensor | undefined;
}

/** The auxiliary loss of a batch, a scalar: nats a token asked for, or the squared error of a hidden patch's pixels. */
export function auxiliaryLoss(tape: Tape, weight: WeightOf, config: ModelConfig, feeds: AuxiliaryFeeds, batch: number, options: TowerOptions): Tensor {
  const { kernels } = tape;
  if (config.auxiliary!.kind !== 'mim') {
    const counted = feeds.counted!;
    const tokens = textTokens(tape, weight, config, { ...feeds.text, ids: feeds.masked! }, batch, options);
    const losses = tokenLosses(tape, lastNorm(tape, weight, config, 'text', tokens), weight('text.embedding'), feeds.targets!);
    return weightedTotal(tape, losses, kernels.divide(counted, kernels.total(counted)));
  }
  const hidden = feeds.hidden!;
  const patches = patchCount(config);
  const seen = imageTokens(tape, weight, config, { ...feeds.image, hidden }, batch, options);
  const rows = lastRows(tape, lastNorm(tape, weight, config, 'image', seen), batch, patches);
  const told = dense(tape, rows, weight('image.reconstruct.weight'), weight('image.reconstruct.bias'));
  return weightedTotal(tape, squaredErrors(tape, told, normalisedPatches(tape, feeds.image.patches)), kernels.divide(hidden, kernels.total(hidden)));
}

/** Each patch less its mean, over its deviation, as in MAE (He et al., 2022). */
function normalisedPatches({ kernels }: Tape, patches: Tensor): Tensor {
  const centred = kernels.subtract(patches, kernels.mean(patches, 1));
  return kernels.multiply(centred, kernels.rsqrt(kernels.shift(kernels.mean(kernels.square(centred), 1), 1e-6)));
}

/** Mean of squares of `x − target` by row, `[rows, 1]`. */
function squaredErrors(tape: Tape, x: Tensor, target: Tensor): Tensor {
  const { kernels } = tape;
  const difference = kernels.subtract(x, target);
  return tape.record([x], kernels.mean(kernels.square(difference), 1), (dy) => [kernels.multiply(kernels.scale(difference, 2 / x.shape[1]!), dy)]);
}

/** Embedded patches with a learned vector in place of those that are hidden. */
export function withHidden(tape: Tape, embedded: Tensor, hidden: Tensor, token: Tensor): Tensor {
  const { kernels } = tape;
  const visible = kernels.shift(kernels.scale(hidden, -1), 1);
  const kept = scaledRows(tape, embedded, visible);
  const width = token.shape[0]!;
  const row = tape.record([token], kernels.reshape(token, [1, width]), (dy) => [kernels.reshape(dy, [width])]);
  const instead = dense(tape, hidden, row);
  return tape.record([kept, instead], kernels.add(kept, instead), (dy) => [dy, dy]);
}
