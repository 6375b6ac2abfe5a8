/** PubMedCLIP's recipe as its code runs it (github.com/sarahESL/PubMedCLIP at bdecf3c), each oddity by a name of its own. */
import { ModelConfigError } from './config-error.ts';

/** What each part does when it is on; off, it is done as CLIP's fine-tuning usually is. */
export const recipeParts = {
  characters: 'captions are cut to 77 characters, which keeps half of their text; off: to the context',
  factor: 'logits are multiplied by exp(0.01) / exp(0.07) = 0.9418; off: they are not',
  imagenet: "images are normalised by ImageNet's mean and deviation; off: by CLIP's",
  crops: 'random resized crops keep 8 % of the area or more; off: whole images',
  flips: 'half of the images are mirrored left to right; off: none',
  edge: 'patches that do not fill the image leave its right and lower edge unread; off: the image is scaled to what they fill',
  centre: 'held-out images are seen at their central 7/8; off: whole',
  adam: 'Adam with L2 of 5e-4 on every weight, β2 0.999, ε 1e-8; off: AdamW as the params say',
  constant: 'a constant rate, no warm-up, no clipping; off: as the params say',
  unbounded: 'the logit scale has no bound; off: at most 100',
} as const;
export type RecipePart = keyof typeof recipeParts;

export type Recipe = Readonly<Record<RecipePart, boolean>>;

/** ImageNet's mean and standard deviation, in RGB. */
export const imageNetNormalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

export const logitFactor = Math.exp(0.01) / Math.exp(0.07);

/** `pubmedclip`, or without parts: `pubmedclip-no-crops-no-flips`. @throws ModelConfigError for anything else */
export function recipeOf(text: string): Recipe {
  const names = Object.keys(recipeParts) as RecipePart[];
  const match = /^pubmedclip((?:-no-[a-z]+)*)$/.exec(text);
  const without = match === null ? [] : match[1]!.split('-no-').slice(1);
  const unknown = without.find((name) => !(names as string[]).includes(name));
  if (match === null || unknown !== undefined) {
    throw new ModelConfigError(
      unknown === undefined ? `recipe: "${text}" is not known` : `recipe: pubmedclip has no part "${unknown}"`,
      `write pubmedclip, or pubmedclip-no-PART with ${names.join(', ')}`,
    );
  }
  return Object.fromEntries(names.map((name) => [name, !without.includes(name)])) as Record<RecipePart, boolean>;
}
