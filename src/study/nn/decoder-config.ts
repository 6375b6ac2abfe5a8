/** Encoder–decoders that write captions, of a two-tower model's own sizes. */

export type DecoderKind =
  /** An image tower, a causal text half that is contrasted, and as many layers again that also see the image (CoCa; Yu et al., 2022). */
  | 'coca'
  /** An image tower whose tokens stand before the caption's in one causal text transformer (GIT; Wang et al., 2022). */
  | 'git'
  /** Patches stand before the caption in one transformer, without a tower of their own (SimVLM; Wang et al., 2022). */
  | 'prefix-lm';

export const decoderKinds = ['coca', 'git', 'prefix-lm'] as const satisfies readonly DecoderKind[];

export interface Decoder {
  readonly kind: DecoderKind;
  /** Weights of the contrastive loss (CoCa alone) and of the caption's; CoCa's own are 1 and 2. */
  readonly contrast: number;
  readonly caption: number;
}

export const decoderOf = (kind: DecoderKind): Decoder => ({ kind, contrast: kind === 'coca' ? 1 : 0, caption: kind === 'coca' ? 2 : 1 });
