import { randomOf } from './random.ts';
import type { Random } from './random.ts';
import type { Scene, View } from './phantom-scene.ts';

/** How a view may present itself: what a short caption says beside the view, all of it plain to see even in 32 pixels. */
export interface Presentation {
  readonly tilt: Scene['tilt'];
  readonly patient: Scene['patient'];
  readonly device: Scene['device'];
  readonly contrast: Scene['lesions']['contrast'];
  readonly side: Scene['lesions']['side'];
}

/** Which presentations a data set holds, and how unevenly. */
export interface PresentationFrequencies {
  /** How many different presentations each view has, the same ones in every data set. */
  readonly presentations: number;
  /** Zipf's exponent: a view's k-th presentation is as frequent as k^-tail. 0 makes all equally frequent. */
  readonly tail: number;
}

/**
 * What makes a scaling law out of phantoms. Frequent presentations are learned from few pairs and rare ones only from many,
 * so that the loss falls smoothly instead of in steps; and since as few as 140 captions (14 views of 10) fit all images, a
 * pool of 256 holds equal ones, as pools of real radiology captions do: nothing tells their images apart, which leaves a loss
 * of 1.2 nats to the best of models and gives the law its irreducible part.
 */
export const usualFrequencies: PresentationFrequencies = { presentations: 10, tail: 1 };

const all: readonly Presentation[] = (['none', 'left', 'right'] as const).flatMap(tilt =>
  (['thin', 'average', 'large'] as const).flatMap(patient =>
    (['none', 'tube', 'needle', 'plate'] as const).flatMap(device =>
      (['bright', 'dark'] as const).flatMap(contrast =>
        (['left', 'right'] as const).map(side => ({ tilt, patient, device, contrast, side }))))));

/** 144: the most that `presentations` can be. */
export const presentationCount = all.length;

/** Each view has an order of its own, frequent ones first, so that no word is common everywhere. */
function orderOf(view: View): readonly Presentation[] {
  const random = randomOf('phantom presentations', view);
  return all.map(presentation => ({ presentation, at: random.next() })).sort((x, y) => x.at - y.at).map(({ presentation }) => presentation);
}

const orders = new Map<View, readonly Presentation[]>();

/** A view's presentations, the most frequent first. */
export function presentationsOf(view: View): readonly Presentation[] {
  const order = orders.get(view) ?? orderOf(view);
  orders.set(view, order);
  return order;
}

/** Draws a presentation of `view` by Zipf's law. */
export function drawPresentation(view: View, { presentations, tail }: PresentationFrequencies, random: Random): Presentation {
  const known = presentationsOf(view).slice(0, presentations);
  const weights = known.map((_, index) => (index + 1) ** -tail);
  let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = known.find((_, index) => (left -= weights[index] ?? 0) < 0) ?? known.at(-1);
  if (drawn === undefined) throw new RangeError(`a view needs at least one presentation, not ${presentations}`);
  return drawn;
}
