import { randomOf } from '../data/random.ts';
import { permutation } from './batches.ts';
import type { ImageSource, TokenSource } from './batches.ts';
import type { ModelConfig } from './model-config.ts';

/** Images and tokens that do not belong together, or a split that is too small. */
export class PairedDataError extends Error {
  override readonly name = 'PairedDataError';
  readonly exitCode = 1;
}

export type Split = 'train' | 'validation' | 'test';

/** Rows of a split, in row order. @throws PairedDataError when images and tokens have different numbers of rows. */
export function rowsOfSplit(
  images: Pick<ImageSource, 'count'> & { readonly rows: readonly { readonly split: Split }[] },
  tokens: TokenSource,
  split: Split,
): Uint32Array {
  if (images.count !== tokens.count) {
    throw new PairedDataError(`${images.count} images but ${tokens.count} rows of tokens: they come from different data`);
  }
  return Uint32Array.from(images.rows.flatMap((row, index) => (row.split === split ? [index] : [])));
}

/** `count` of the rows, drawn by seed; all of them, in a seeded order, if there are no more. */
export function drawRows(rows: Uint32Array, count: number, ...seed: readonly (string | number)[]): Uint32Array {
  return permutation(rows.length, randomOf(...seed))
    .slice(0, count)
    .map((index) => rows[index]!);
}

/** Whether a trained model takes these data. @throws PairedDataError naming what differs. */
export function checkModelFits(config: ModelConfig, images: Pick<ImageSource, 'resolution'>, tokens: TokenSource): void {
  const pairs = [
    ['resolution', config.image.resolution, images.resolution],
    ['context', config.text.context, tokens.context],
    ['vocabulary', config.text.vocabulary, tokens.vocabulary],
  ] as const;
  for (const [name, trained, given] of pairs) {
    if (name === 'vocabulary' ? given > trained : given !== trained) throw new PairedDataError(`the model was trained with ${name} ${trained}, but these data have ${given}`);
  }
}
