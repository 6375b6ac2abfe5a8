/**
 * What kind of image a caption speaks of. ROCO has no modality label, so the caption's words decide first, and the concept ids
 * that ROCO attaches second (they are incomplete: half of the ultrasound captions have none).
 */
export type Modality = 'ultrasound' | 'fluoroscopy' | 'ct' | 'mri' | 'x-ray' | 'angiography' | 'nuclear' | 'unknown';

export const modalityNames: readonly Modality[] = ['ultrasound', 'fluoroscopy', 'ct', 'mri', 'x-ray', 'angiography', 'nuclear', 'unknown'];

/** Whole words, any case: neither side may go on with a letter or digit. */
function words(...alternatives: readonly string[]): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}_])(?:${alternatives.join('|')})(?![\\p{L}\\p{N}_])`, 'iu');
}

const ultrasoundWords = words(
  'ultra[\\s-]?sound\\w*', 'ultra[\\s-]?sonogra\\w*', 'sonogra\\w*', 'sonolog\\w*', 'echocardiogra\\w*', 'echogra\\w*', 'echogenic\\w*',
  'echotexture', '(?:hyper|hypo|an|iso)[\\s-]?echo\\w*', 'doppler', 'duplex', 'TTE', 'TEE', 'TVUS', 'TRUS', 'IVUS', 'EUS', 'EBUS', 'POCUS',
  '[BM]-mode', 'transvaginal', 'endovaginal', 'transthoracic', 'trans(?:o)?esophageal', 'transrectal', 'parasternal',
  'apical (?:2|3|4|5|two|three|four|five)[\\s-]chamber', 'subcostal view', 'acoustic shadow\\w*', 'elastogra\\w*',
);

const fluoroscopyWords = words(
  'fluoroscop\\w*', 'cine-?fluoro\\w*', 'videofluoro\\w*', 'barium', 'gastrografin', 'o?esophagogra(?:m|phy)',
  'upper (?:gi|gastrointestinal) (?:series|study|contrast)', 'small bowel follow[\\s-]?through', 'contrast swallow', '(?:contrast|barium) enema',
  '(?:voiding )?cysto-?urethrogra\\w*', 'vcug', 'mcug', 'hysterosalpingogra\\w*', 'hsg', 'ercp', 'endoscopic retrograde',
  'retrograde (?:pyelo|urethro|ureteropyelo)gra\\w*', 'defa?ecogra\\w*', 'c-arm', 'image intensifier',
);

const ctWords = words('ct', 'cts', 'cta', 'ctpa', 'cbct', 'hrct', 'mdct', 'msct', 'cect', 'ncct', '(?:computed|computerized|computerised|computer) (?:axial )?tomogra\\w*', 'tomodensitometr\\w*', 'cat scan', 'pet[-/]ct');
const mriWords = words('mri', 'mris', 'mr', 'mra', 'mrv', 'mrcp', 'fmri', 'cmr', '(?:nuclear )?magnetic[\\s-]resonance', 't[12][\\s-]?(?:weighted|w|wi|flair)?', 'flair', 'dwi', 'diffusion[\\s-]weighted', 'gadolinium[\\s-]enhanced');
const xrayWords = words('x[\\s-]?rays?', 'radiogra(?:ph|phs|phy|phic|m|ms)', 'roentgenogra\\w*', 'orthopantomogra\\w*', 'panoramic', 'opg', 'mammogra\\w*', 'plain films?', 'skiagra\\w*', 'cxr');
const angiographyWords = words('(?:arterio|angio|veno|aorto|phlebo)gra\\w*', 'dsa', 'digital subtraction \\w+');
const nuclearWords = words('pet', 'spect', 'scintigra\\w*', 'positron\\w*', 'bone scan', 'fdg', 'scintiscan\\w*', '(?:18)?f-?fdg');

const ultrasoundConcepts = new Set(['C0041618', 'C0013516', 'C0554756']);
const fluoroscopyConcepts = new Set(['C0016356']);

export function mentionsUltrasound(caption: string, concepts: readonly string[] = []): boolean {
  return ultrasoundWords.test(caption) || concepts.some(concept => ultrasoundConcepts.has(concept));
}

/** Angiography is not counted here: it is a class of its own, and a decision of its own. */
export function mentionsFluoroscopy(caption: string, concepts: readonly string[] = []): boolean {
  return fluoroscopyWords.test(caption) || concepts.some(concept => fluoroscopyConcepts.has(concept));
}

const allowed: readonly (readonly [Modality, RegExp])[] = [
  ['ct', ctWords],
  ['mri', mriWords],
  ['x-ray', xrayWords],
  ['nuclear', nuclearWords],
];

/**
 * One modality for a caption. Any mention of ultrasound or fluoroscopy decides (rule A: dropping by it drops every mention);
 * else the allowed modality that is named first; else angiography, which is thus what is only that and no CT or MR
 * angiography; else unknown (a quarter of ROCO's captions name none).
 */
export function modalityOf(caption: string, concepts: readonly string[] = []): Modality {
  if (mentionsUltrasound(caption, concepts)) return 'ultrasound';
  if (mentionsFluoroscopy(caption, concepts)) return 'fluoroscopy';
  let first: Modality | undefined;
  let position = Infinity;
  for (const [modality, pattern] of allowed) {
    const found = caption.search(pattern);
    if (found >= 0 && found < position) [first, position] = [modality, found];
  }
  return first ?? (angiographyWords.test(caption) ? 'angiography' : 'unknown');
}

/**
 * Which rows a study takes: `all`; `permissive` leaves out ultrasound and fluoroscopy; `strict` also asks for positive
 * evidence of an allowed modality; `random` leaves out as many as `permissive` does, but any (the size-matched control).
 */
export type ModalitySet = 'all' | 'permissive' | 'strict' | 'random';

/** Why a row is not in a set, or undefined when it is. The set `random` is not a matter of one row: see `preprocess`. */
export function modalityReason(modality: string, set: 'all' | 'permissive' | 'strict', angiography: boolean): string | undefined {
  if (set !== 'all' && (modality === 'ultrasound' || modality === 'fluoroscopy')) return `${modality} is left out of the ${set} set`;
  if (set === 'strict' && modality === 'unknown') return 'the caption names no modality, and the strict set asks for one';
  return !angiography && modality === 'angiography' ? 'angiography is left out' : undefined;
}
