import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readNpz } from '../npz.ts';
import type { NpyArray } from '../npz.ts';
import { writeJsonLines, writePairs } from '../pairs.ts';
import type { LeftOut, Pair } from '../pairs.ts';
import { splitNames } from '../splits.ts';
import type { Split } from '../splits.ts';

interface MedmnistSet {
  readonly modality: string;
  /** What a caption says before the label. */
  readonly view: string;
  readonly labels: readonly string[];
  /** Several labels may hold at once (`[rows, labels]` of 0 and 1) instead of one (`[rows, 1]`). */
  readonly multi?: boolean;
  /** A volume, of which the middle slice is taken. */
  readonly volume?: boolean;
}

const abdominal = ['bladder', 'left femur', 'right femur', 'heart', 'left kidney', 'right kidney', 'liver', 'left lung', 'right lung', 'pancreas', 'spleen'];
const organs3d = ['liver', 'right kidney', 'left kidney', 'right femur', 'left femur', 'bladder', 'heart', 'right lung', 'left lung', 'spleen', 'pancreas'];

/** MedMNIST v2's radiology sets without ultrasound (Yang 2023, `info.py`). */
export const medmnistSets: Readonly<Record<string, MedmnistSet>> = {
  chestmnist: { modality: 'x-ray', view: 'chest X-ray', multi: true, labels: ['atelectasis', 'cardiomegaly', 'effusion', 'infiltration', 'mass', 'nodule', 'pneumonia', 'pneumothorax', 'consolidation', 'edema', 'emphysema', 'fibrosis', 'pleural thickening', 'hernia'] },
  pneumoniamnist: { modality: 'x-ray', view: 'chest X-ray', labels: ['no finding', 'pneumonia'] },
  organamnist: { modality: 'ct', view: 'axial abdominal CT', labels: abdominal },
  organcmnist: { modality: 'ct', view: 'coronal abdominal CT', labels: abdominal },
  organsmnist: { modality: 'ct', view: 'sagittal abdominal CT', labels: abdominal },
  organmnist3d: { modality: 'ct', view: 'abdominal CT', labels: organs3d, volume: true },
  nodulemnist3d: { modality: 'ct', view: 'chest CT', labels: ['benign nodule', 'malignant nodule'], volume: true },
  adrenalmnist3d: { modality: 'ct', view: 'abdominal CT', labels: ['normal adrenal gland', 'adrenal gland with a mass'], volume: true },
  fracturemnist3d: { modality: 'ct', view: 'chest CT', labels: ['buckle rib fracture', 'nondisplaced rib fracture', 'displaced rib fracture'], volume: true },
  vesselmnist3d: { modality: 'mri', view: 'MR angiography of the brain', labels: ['healthy vessel', 'aneurysm'], volume: true },
};

const excluded: Readonly<Record<string, string>> = {
  breastmnist: 'it is ultrasound', pathmnist: 'it is pathology', dermamnist: 'it is dermatoscopy', octmnist: 'it is retinal tomography', retinamnist: 'it is fundus photography',
  bloodmnist: 'it is microscopy', tissuemnist: 'it is microscopy', synapsemnist3d: 'it is microscopy',
};

/** The set that a file's name tells: `pneumoniamnist_224.npz` is pneumoniamnist. @throws Error for sets that are not radiology, or unknown */
export function medmnistSetOf(file: string): { readonly name: string; readonly set: MedmnistSet } {
  const name = basename(file).toLowerCase().replace(/(_\d+)?\.npz$/, '');
  const set = medmnistSets[name];
  if (set !== undefined) return { name, set };
  const why = excluded[name];
  throw new Error(why === undefined ? `${basename(file)} is no MedMNIST set; the ones for radiology are ${Object.keys(medmnistSets).join(', ')}` : `${name} is left out: ${why}`);
}

/** A row's labels as MedMNIST numbers them, by name of the set. */
export interface ClassLabels {
  readonly id: string;
  readonly set: string;
  readonly labels: readonly number[];
  readonly names: readonly string[];
}

function captionOf({ view, labels, multi }: MedmnistSet, values: readonly number[]): { labels: number[]; names: string[]; caption: string } | string {
  const indices = multi === true ? values.flatMap((value, index) => (value === 1 ? [index] : [])) : [values[0] ?? -1];
  const names = indices.map(index => labels[index]);
  if (!names.every(name => name !== undefined)) return `its label ${values.join(' ')} is none of the set's ${labels.length}`;
  const list = names.length === 0 ? 'no finding' : names.length === 1 ? String(names[0]) : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return { labels: indices, names, caption: view.includes('abdominal CT') && !/gland/.test(list) ? `${view} of the ${list}` : `${view} with ${list}` };
}

interface Images {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly offsets: readonly number[];
}

/** Where a row's pixels are in its array: all of it, or the middle slice of a volume. */
function shapeOf({ shape, type, name }: NpyArray, volume: boolean): { width: number; height: number; channels: 1 | 3; from: number; bytes: number } {
  if (type !== 'u1') throw new Error(`${name} is of ${type}, not of bytes`);
  const [, ...rest] = volume ? [shape[0], ...shape.slice(2)] : shape;
  const [height = 0, width = 0, channels = 1] = rest;
  if (rest.length < 2 || rest.length > 3 || (channels !== 1 && channels !== 3) || height < 1 || width < 1) throw new Error(`${name} has the shape (${shape.join(', ')}), which is no list of ${volume ? 'volumes' : 'images'}`);
  const bytes = height * width * channels;
  return { width, height, channels, bytes, from: volume ? Math.floor((shape[1] ?? 1) / 2) * bytes : 0 };
}

/**
 * Reads MedMNIST archives into a folder of pairs: pixels into `images.raw`, captions made of the labels, `labels.jsonl` with the
 * labels. An array that cannot be read leaves its split out, which is reported.
 *
 * @param files `.npz` files, one a set
 * @throws Error for a set that is not radiology, a file that is no archive, or when no image is left
 */
export async function readMedmnist(files: readonly string[], folder: string, about: Readonly<Record<string, unknown>>, hooks: { signal?: AbortSignal | undefined; onProgress?: (done: number) => void } = {}): Promise<{ pairs: readonly Pair[]; leftOut: readonly LeftOut[] }> {
  const pairs: Pair[] = [];
  const leftOut: LeftOut[] = [];
  const labels: ClassLabels[] = [];
  const out = await open(join(folder, 'images.raw'), 'w');
  const digest = createHash('sha256');
  let end = 0;
  try {
    for (const file of files) {
      const { name, set } = medmnistSetOf(file);
      const images = new Map<Split, Images>();
      const values = new Map<Split, { numbers: number[]; perRow: number }>();
      const refused = await readNpz(file, async array => {
        const [, word = '', what] = /^(train|val|test)_(images|labels)$/.exec(array.name) ?? [];
        const split: Split = word === 'val' ? 'validation' : word === 'train' ? 'train' : 'test';
        if (what === 'labels') values.set(split, { numbers: await array.numbers(), perRow: array.shape.slice(1).reduce((x, y) => x * y, 1) });
        if (what !== 'images') return;
        const { from, bytes, ...shape } = shapeOf(array, set.volume === true);
        const offsets: number[] = [];
        images.set(split, { ...shape, offsets });
        for await (const row of array.rows()) {
          hooks.signal?.throwIfAborted();
          const pixels = row.subarray(from, from + bytes);
          await out.writeFile(pixels);
          digest.update(pixels);
          offsets.push(end);
          end += bytes;
          if (offsets.length % 1024 === 0) hooks.onProgress?.(pairs.length + offsets.length);
        }
      }, { signal: hooks.signal, fatal: error => error instanceof Error && 'code' in error && error.code === 'ENOSPC' });
      leftOut.push(...refused.map(row => ({ ...row, id: `${name}:${row.id}` })));
      for (const split of splitNames) {
        const here = images.get(split);
        const numbers = values.get(split);
        if (here === undefined || numbers === undefined) {
          if (here !== undefined || numbers !== undefined || refused.length > 0) leftOut.push({ id: `${name}:${split}`, kind: 'archive', reason: `its ${here === undefined ? 'images' : 'labels'} are not to be had` });
          continue;
        }
        const rows = numbers.numbers.length / numbers.perRow;
        if (rows !== here.offsets.length) leftOut.push({ id: `${name}:${split}`, kind: 'archive', reason: `${here.offsets.length} images but ${rows} labels; the first ones of both count` });
        here.offsets.slice(0, rows).forEach((offset, index) => {
          const id = `${name}-${split}-${String(index).padStart(5, '0')}`;
          const said = captionOf(set, numbers.numbers.slice(index * numbers.perRow, (index + 1) * numbers.perRow));
          if (typeof said === 'string') return void leftOut.push({ id, kind: 'text', reason: said });
          labels.push({ id, set: name, labels: said.labels, names: said.names });
          const { width, height, channels } = here;
          pairs.push({ id, image: { file: 'images.raw', offset, width, height, channels }, caption: said.caption, group: id, split, licence: 'CC BY', modality: set.modality, source: name });
        });
      }
    }
  } finally {
    await out.close();
  }
  if (pairs.length === 0) throw new Error(`no image could be read: ${leftOut[0]?.id ?? 'the archives are empty'} ${leftOut[0]?.reason ?? ''}`.trim());
  await writeJsonLines(join(folder, 'labels.jsonl'), labels);
  await writePairs(folder, pairs, leftOut, { source: 'MedMNIST v2', ...about, sets: files.map(file => basename(file)), captions: 'made of the labels: the sets have none', sha256: digest.digest('hex') });
  return { pairs, leftOut };
}
