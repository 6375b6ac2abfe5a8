/** Adapters chosen without labels: an image's by what a classifier sees in it, a caption's by what it names. */
import { modalityOf } from '../data/modality.ts';
import type { NamedValue } from '../eval/metrics.ts';
import { expertOf } from './adapter-config.ts';
import type { ImageSource } from './batches.ts';
import { PairedDataError } from './data.ts';

export interface RoutedRow {
  readonly id: string;
  readonly modality: string;
}

/** The same images under other modalities, one of each side's rows; and how often these lead where the labels would. */
export interface Routes {
  readonly image: ImageSource;
  readonly caption: ImageSource;
  /** Shares of rows with a label whose adapter is the label's; NaN where none has one. */
  readonly facts: readonly NamedValue[];
}

/**
 * Routes of `rows`. Neither side is told a label, nor anything of the other: the captions' modality is that of the caption rule.
 * @throws PairedDataError where an image is not predicted, or a caption is not there
 */
export function routesOf(
  images: ImageSource & { readonly rows: readonly RoutedRow[] },
  rows: ArrayLike<number>,
  experts: readonly string[],
  predicted: ReadonlyMap<string, string>,
  captions: ReadonlyMap<string, string>,
): Routes {
  const sides = { image: [...images.rows], caption: [...images.rows] };
  const right = { image: 0, caption: 0 };
  let labelled = 0;
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]!;
    const { id, modality: label } = images.rows[row]!;
    const seen = predicted.get(id);
    if (seen === undefined) throw new PairedDataError(`no modality is predicted of ${id}: let the stage classify see all images that are embedded here`);
    const caption = captions.get(id);
    if (caption === undefined) throw new PairedDataError(`the captions have no ${id}: they come from other data than the images`);
    const named = modalityOf(caption);
    sides.image[row] = { id, modality: seen };
    sides.caption[row] = { id, modality: named };
    if (label === 'unknown') continue;
    labelled++;
    right.image += Number(expertOf(experts, seen) === expertOf(experts, label));
    right.caption += Number(expertOf(experts, named) === expertOf(experts, label));
  }
  return {
    image: { ...images, rows: sides.image },
    caption: { ...images, rows: sides.caption },
    facts: [
      { metric: 'image_route_accuracy', value: right.image / labelled },
      { metric: 'caption_route_accuracy', value: right.caption / labelled },
    ],
  };
}
