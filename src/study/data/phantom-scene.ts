import { drawPresentation, usualFrequencies } from './phantom-presentations.ts';
import type { PresentationFrequencies } from './phantom-presentations.ts';
import type { Random } from './random.ts';

/**
 * What a drawn image shows. Every value here changes pixels, and captions say nothing that is not here. Long captions say all of
 * it but nuisance; short ones the coarse things alone (modality, organ, patient, tilt, device, side and contrast of the lesion).
 */
export interface Lesions {
  readonly count: 1 | 2 | 3;
  readonly size: 'small' | 'medium' | 'large' | 'huge';
  readonly contrast: 'bright' | 'dark';
  /** Small lesions are round and solid: nothing else could be told apart in few pixels. */
  readonly shape: 'round' | 'oval' | 'irregular';
  readonly fill: 'solid' | 'hollow';
  readonly faint: boolean;
  /** The patient's side, as radiologists say it: left is on the right of the image. */
  readonly side: 'left' | 'right';
  readonly level: 'upper' | 'middle' | 'lower';
}

export const viewNames = [
  'ct brain', 'mri brain', 'ct chest', 'xray chest', 'ct liver', 'mri liver', 'ultrasound liver', 'ct kidney', 'mri kidney',
  'ultrasound kidney', 'xray pelvis', 'xray knee', 'mri knee', 'ultrasound thyroid',
] as const;

export type View = (typeof viewNames)[number];

export interface Scene {
  readonly view: View;
  readonly lesions: Lesions;
  /** Only where the caption has room to tell it; on the other side of the image. */
  readonly other: Lesions | null;
  readonly device: 'none' | 'tube' | 'needle' | 'plate';
  readonly patient: 'thin' | 'average' | 'large';
  readonly tilt: 'none' | 'left' | 'right';
  readonly noise: 'low' | 'medium' | 'high';
  readonly exposure: 'dark' | 'normal' | 'bright';
}

export type CaptionStyle = 'short' | 'long';

/** Sizes are drawn unevenly, since small lesions have fewer ways to differ. */
function drawLesions(random: Random, side: Lesions['side']): Lesions {
  const share = random.next();
  const size = share < 0.15 ? 'small' : share < 0.55 ? 'medium' : 'large';
  const shape = random.pick(['round', 'oval', 'irregular'] as const);
  const fill = random.pick(['solid', 'hollow'] as const);
  return {
    count: random.pick([1, 2, 3] as const),
    size,
    contrast: random.pick(['bright', 'dark'] as const),
    shape: size === 'small' ? 'round' : shape,
    fill: size === 'small' ? 'solid' : fill,
    faint: random.next() < 0.35,
    side,
    level: random.pick(['upper', 'middle', 'lower'] as const),
  };
}

/** What goes with short captions: a presentation of the view, with a lesion large enough to be seen at any resolution. */
function drawShortScene(random: Random, frequencies: PresentationFrequencies): Scene {
  const view = random.pick(viewNames);
  const { tilt, patient, device, contrast, side } = drawPresentation(view, frequencies, random);
  const lesions: Lesions = {
    count: 1,
    size: 'huge',
    contrast,
    side,
    shape: random.pick(['round', 'oval', 'irregular'] as const),
    fill: random.pick(['solid', 'hollow'] as const),
    faint: random.next() < 0.35,
    level: random.pick(['upper', 'middle', 'lower'] as const),
  };
  return { view, lesions, other: null, device, patient, tilt, ...drawExposure(random) };
}

/** What goes with long captions: every attribute for itself, so that each sentence is worth reading. */
function drawLongScene(random: Random): Scene {
  const view = random.pick(viewNames);
  const side = random.pick(['left', 'right'] as const);
  const lesions = drawLesions(random, side);
  const device = random.pick(['none', 'tube', 'needle', 'plate'] as const);
  const other = drawLesions(random, side === 'left' ? 'right' : 'left');
  const hasOther = random.next() < 0.6;
  return {
    view,
    lesions,
    device,
    other: hasOther ? other : null,
    patient: random.pick(['thin', 'average', 'large'] as const),
    tilt: random.pick(['none', 'left', 'right'] as const),
    ...drawExposure(random),
  };
}

function drawExposure(random: Random): Pick<Scene, 'noise' | 'exposure'> {
  return { noise: random.pick(['low', 'medium', 'high'] as const), exposure: random.pick(['dark', 'normal', 'bright'] as const) };
}

/**
 * Draws what an image is to show.
 *
 * @param frequencies of presentations, for short captions: long ones tell attributes that are drawn each for itself
 */
export function drawScene(random: Random, style: CaptionStyle, frequencies: PresentationFrequencies = usualFrequencies): Scene {
  return style === 'short' ? drawShortScene(random, frequencies) : drawLongScene(random);
}

const numbers = { 1: 'one', 2: 'two', 3: 'three' } as const;

function lesionWords(lesions: Lesions): string {
  const { count, size, contrast, fill, shape } = lesions;
  const form = size === 'small' ? '' : ` ${fill} ${shape}`;
  return `${numbers[count]} ${size} ${contrast}${form} lesion${count === 1 ? '' : 's'}`;
}

/**
 * At most 14 CLIP tokens, so that it fits a context of 16 with start and end. As in a clinic, what is usual goes unsaid, and so
 * do level, shape and fill of the lesion: they differ between images that share a caption.
 */
function shortCaption({ view, patient, tilt, lesions, device }: Scene): string {
  return [
    view,
    ...(patient === 'average' ? [] : [`${patient} patient`]),
    ...(tilt === 'none' ? [] : [`tilted ${tilt}`]),
    `${lesions.contrast} lesion ${lesions.side}`,
    ...(device === 'none' ? [] : [device]),
  ].join(' ');
}

function lesionSentence(lesions: Lesions, organ: string, opening: string): string {
  const verb = lesions.count === 1 ? 'lies' : 'lie';
  const look = lesions.faint ? 'faint against' : 'clear against';
  const it = lesions.count === 1 ? 'it is' : 'they are';
  return `${opening} ${lesionWords(lesions)} ${verb} in the ${lesions.level} ${lesions.side} part of the ${organ}, and ${it} ${look} the tissue.`;
}

/** Every attribute in full sentences, in an order of its own for each image, so that a cut caption loses something else each time. */
function longCaption(scene: Scene, random: Random): string {
  const [modality = '', organ = ''] = scene.view.split(' ');
  const opposite = scene.lesions.side === 'left' ? 'right' : 'left';
  const sentences = [
    lesionSentence(scene.lesions, organ, 'we see that'),
    scene.other === null ? `no other lesion lies on the ${opposite} side.` : lesionSentence(scene.other, organ, 'on the other side'),
    scene.device === 'none' ? 'no tube, needle or plate crosses the image.' : `a ${scene.device} crosses the ${opposite} side of the image.`,
    `the patient is ${scene.patient === 'average' ? 'of average size' : scene.patient}.`,
    scene.tilt === 'none' ? 'the patient is not tilted.' : `the patient is tilted to the ${scene.tilt}.`,
    `the noise is ${scene.noise} and the exposure is ${scene.exposure}.`,
  ];
  for (let last = sentences.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [sentences[last], sentences[other]] = [sentences[other] ?? '', sentences[last] ?? ''];
  }
  return [`this is a ${modality} image of the ${organ}.`, ...sentences].join(' ');
}

export function captionOf(scene: Scene, style: CaptionStyle, random: Random): string {
  return style === 'short' ? shortCaption(scene) : longCaption(scene, random);
}
