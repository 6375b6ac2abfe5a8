import type { LayoutEntry } from './layout.ts';

/** A weight that is laid out as ours: vectors, embeddings, and matrices that the other side keeps as `[in, out]`. */
export const plain = (parameter: string, name: string, shape: readonly number[]): LayoutEntry => ({ parameter, parts: [{ name, shape }], transposed: false });

/** A PyTorch linear layer's `[out, in]`, or a convolution's `[out, channels, height, width]`. */
export const linear = (parameter: string, name: string, shape: readonly number[]): LayoutEntry => ({ parameter, parts: [{ name, shape }], transposed: true });

/** Gain and bias of a layer norm. */
export const norm = (parameter: string, name: string, width: number): LayoutEntry[] => [
  plain(`${parameter}.gain`, `${name}.weight`, [width]),
  plain(`${parameter}.bias`, `${name}.bias`, [width]),
];
