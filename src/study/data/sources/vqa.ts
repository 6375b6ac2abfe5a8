import { basename } from 'node:path';
import type { Candidate } from '../collect.ts';
import { modalityOfLabel } from '../modality-labels.ts';
import { pathOf, readJson, rowsOf } from '../open-source.ts';
import type { OpenedSource, SourceFile, TextFields } from '../open-source.ts';
import type { LeftOut } from '../pairs.ts';
import type { Question } from '../questions.ts';
import type { Split } from '../splits.ts';
import { isImageName } from './source.ts';
import type { SourceRows } from './source.ts';

/** What the two sets of questions call things. */
interface VqaForm {
  readonly source: string;
  readonly licence: string;
  readonly files: readonly (readonly [Split, readonly string[]])[];
  readonly imageOf: (row: TextFields) => { readonly id: string; readonly file: string };
  readonly question: (row: TextFields) => { readonly id: string; readonly type: string; readonly phrase: string; readonly language: string };
  readonly place: (row: TextFields) => string;
}

const organs: Readonly<Record<string, string>> = { HEAD: 'head', CHEST: 'chest', ABD: 'abdomen' };
const spoken: Readonly<Record<string, string>> = { ct: 'CT scan', mri: 'MRI', 'x-ray': 'X-ray' };

const vqaRad: VqaForm = {
  source: 'vqa-rad',
  licence: 'CC0',
  files: [['train', ['trainset.json']], ['test', ['testset.json']]],
  imageOf: row => ({ id: row('image_name').replace(/\.[^.]*$/, ''), file: row('image_name') }),
  question: row => ({ id: row('qid'), type: row('question_type'), phrase: row('phrase_type'), language: 'en' }),
  place: row => organs[row('image_organ')] ?? row('image_organ').toLowerCase(),
};

const slake: VqaForm = {
  source: 'slake',
  licence: 'CC BY',
  files: [['train', ['train.json', 'train.json.gz']], ['validation', ['validate.json', 'validate.json.gz', 'validation.json', 'val.json']], ['test', ['test.json', 'test.json.gz']]],
  imageOf: row => ({ id: row('img_name', 'image_name').replace(/\/source\.\w+$/, '').replaceAll('/', '-'), file: row('img_name', 'image_name') }),
  question: row => ({ id: row('qid', 'question_id'), type: row('content_type'), phrase: '', language: row('q_lang') || 'en' }),
  place: row => row('location').replaceAll('_', ' ').toLowerCase(),
};

/** The splits in which an image is asked about, in English among them, and what its questions say of it. */
interface AskedImage {
  readonly file: string;
  readonly splits: Set<Split>;
  readonly english: Set<Split>;
  readonly modality: string | null;
  readonly place: string;
}

function imageIn(source: OpenedSource, file: string): SourceFile | undefined {
  return source.find(file)[0];
}

async function readVqa(source: OpenedSource, form: VqaForm): Promise<SourceRows> {
  const leftOut: LeftOut[] = [];
  const questions: Question[] = [];
  const images = new Map<string, AskedImage>();
  const ids = new Set<string>();
  for (const [split, names] of form.files) {
    const path = pathOf(source, ...names);
    if (path === undefined) throw new Error(`there is no ${names[0]}: is this a folder of ${form.source}?`);
    for (const [index, row] of rowsOf(await readJson(path), basename(path)).entries()) {
      const image = form.imageOf(row);
      const own = form.question(row);
      const id = `${form.source}-${split}-${own.id || index}`;
      const kind = row('answer_type').toLowerCase();
      const without = (reason: string): void => void leftOut.push({ id, kind: 'question', reason: `${basename(path)}, entry ${index + 1}: ${reason}` });
      const modality = modalityOfLabel(row('modality'));
      if (image.id === '') without('no image is named');
      else if (row('question') === '' || row('answer') === '') without('the question or its answer is empty');
      else if (kind !== 'open' && kind !== 'closed') without(`its answer_type is ${JSON.stringify(kind)}, not OPEN or CLOSED`);
      else if (ids.has(id)) without('the id is there twice; the first one counts');
      else {
        ids.add(id);
        const asked = images.get(image.id) ?? { file: image.file, splits: new Set<Split>(), english: new Set<Split>(), modality, place: form.place(row) };
        asked.splits.add(split);
        if (own.language === 'en') asked.english.add(split);
        images.set(image.id, asked);
        questions.push({ id, image: image.id, question: row('question'), answer: row('answer'), kind, split, group: image.id, language: own.language, type: own.type, phrase: own.phrase, modality });
      }
    }
  }
  const candidates: Candidate[] = [];
  for (const [id, { file, splits: all, english, modality, place }] of images) {
    const splits = english.size > 0 ? english : all;
    const found = imageIn(source, file);
    // An image that is asked about on both sides is a test image: whoever trains on it is to know. (SLAKE's English questions
    // keep images apart, its Chinese ones do not; the literature uses the English ones.)
    const split: Split = splits.has('test') ? 'test' : splits.has('validation') ? 'validation' : 'train';
    const caption = `${modality === null ? 'radiology image' : (spoken[modality] ?? modality)}${place === '' ? '' : ` of the ${place}`}`;
    candidates.push({ id, root: found?.root ?? source.files[0]?.root ?? '', file: found?.path ?? file, caption, group: id, split, licence: form.licence, modality, source: form.source });
  }
  const named = new Set(candidates.map(candidate => candidate.file));
  for (const { path } of source.files) {
    if (isImageName(path) && /(^|\/)(images|imgs)\//.test(path) && !/mask/i.test(path) && !named.has(path)) leftOut.push({ id: path, kind: 'no caption', reason: 'no question is about this image' });
  }
  const shared = [...images.values()].filter(({ english }) => english.size > 1).length;
  return {
    candidates, leftOut, questions,
    about: { source: form.source, captions: 'made of the labels for modality and place: the set has none', questions: questions.length, imagesAskedAbout: images.size, imagesOnSeveralSides: shared },
  };
}

/** Reads VQA-RAD: `trainset.json`, `testset.json` and its images (Lau 2018). @throws Error when a file is missing or no list */
export const readVqaRad = (source: OpenedSource): Promise<SourceRows> => readVqa(source, vqaRad);

/** Reads SLAKE: `train.json`, `validate.json`, `test.json` and `imgs/xmlab1/source.jpg` … (Liu 2021); questions stay without images. @throws as readVqaRad */
export const readSlake = (source: OpenedSource): Promise<SourceRows> => readVqa(source, slake);

/** `contentDigest` of VQA-RAD's questions and 315 images as they lie in Awenbocc/med-vqa at 0cca6811. */
export const vqaRadContent = { files: /(^|\/)data\/((trainset|testset)\.json|images\/synpic\d+\.jpg)$/, sha256: '66a3234c2433c4e0bc775d5021238142e86add351d8e45a1003daf3a411d8103' };
