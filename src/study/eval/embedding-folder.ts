/**
 * The folder that a model's embeddings are kept in, so that evaluation needs neither the model nor its data: `embeddings.safetensors`
 * (`image` and `text`, `[count, width]` each; `prompts`, `[prompts, width]`, where there are any), `rows.jsonl` (what is known of each
 * pair, in their order) and `embeddings.json` (what they are, and what is known of the model).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonLines } from '../data/pairs.ts';
import type { Split } from '../data/splits.ts';
import { readSafeTensors, writeSafeTensors } from '../nn/safetensors.ts';
import type { SafeTensor } from '../nn/safetensors.ts';
import type { NamedValue } from './metrics.ts';

export interface EmbeddedRow {
  readonly id: string;
  /** What is not independent of one another: article, case, patient. */
  readonly group: string;
  readonly split: Split;
  readonly modality: string;
  /** Equal where captions have the same tokens; null where the caption is not embedded, and its embedding zeros. */
  readonly caption: string | null;
}

export interface StoredEmbeddings {
  /** Unit vectors whose products are cosines; or the scores of each image with each text, and unit vectors that pick them. */
  readonly kind: 'embeddings' | 'scores';
  readonly width: number;
  /** Products times this are logits. */
  readonly logitScale: number;
  readonly rows: readonly EmbeddedRow[];
  /** `[rows, width]` */
  readonly image: Float32Array;
  readonly text: Float32Array;
  readonly prompts: { readonly texts: readonly string[]; readonly values: Float32Array };
  /** What the model is and has cost, as metrics. */
  readonly facts: readonly NamedValue[];
}

/** A folder that is missing a part or contradicts itself, or lacks what is asked of it. */
export class EmbeddingFolderError extends Error {
  override readonly name = 'EmbeddingFolderError';
  readonly exitCode = 1;
}

type Head = Pick<StoredEmbeddings, 'kind' | 'width' | 'logitScale' | 'facts'> & { readonly count: number; readonly prompts: readonly string[] };

/** Writes the files into an existing folder. */
export async function writeEmbeddings(folder: string, { kind, width, logitScale, rows, image, text, prompts, facts }: StoredEmbeddings): Promise<void> {
  const tensors = new Map<string, SafeTensor>([
    ['image', { shape: [rows.length, width], values: image }],
    ['text', { shape: [rows.length, width], values: text }],
  ]);
  if (prompts.texts.length > 0) tensors.set('prompts', { shape: [prompts.texts.length, width], values: prompts.values });
  await writeSafeTensors(join(folder, 'embeddings.safetensors'), { tensors, metadata: {} });
  await writeJsonLines(join(folder, 'rows.jsonl'), rows);
  const head: Head = { kind, count: rows.length, width, logitScale, prompts: prompts.texts, facts };
  await writeFile(join(folder, 'embeddings.json'), `${JSON.stringify(head, null, 1)}\n`);
}

/** Reads what writeEmbeddings wrote. @throws EmbeddingFolderError naming the file that is not as it should be. */
export async function readEmbeddings(folder: string): Promise<StoredEmbeddings> {
  const parsed = async <T>(name: string, parse: (text: string) => T): Promise<T> => {
    try {
      return parse(await readFile(join(folder, name), 'utf8'));
    } catch (cause) {
      throw new EmbeddingFolderError(`${join(folder, name)} cannot be read: are these the embeddings that the stage embed writes?`, { cause });
    }
  };
  const { count, prompts, ...head } = await parsed('embeddings.json', (text) => JSON.parse(text) as Head);
  const rows = await parsed('rows.jsonl', (text) => text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as EmbeddedRow])));
  const { tensors } = await readSafeTensors(join(folder, 'embeddings.safetensors'));
  const valuesOf = (name: string, length: number): Float32Array => {
    const tensor = tensors.get(name);
    if (tensor?.shape.join() === `${length},${head.width}`) return tensor.values;
    throw new EmbeddingFolderError(`${folder}: the tensor "${name}" is ${tensor === undefined ? 'missing' : `[${tensor.shape.join(', ')}]`}; embeddings.json asks for [${length}, ${head.width}]`);
  };
  if (rows.length !== count) throw new EmbeddingFolderError(`${folder}: rows.jsonl has ${rows.length} rows; embeddings.json asks for ${count}`);
  const values = prompts.length === 0 ? new Float32Array(0) : valuesOf('prompts', prompts.length);
  return { ...head, rows, image: valuesOf('image', count), text: valuesOf('text', count), prompts: { texts: prompts, values } };
}

/** Rows of one split, in their order, with their embeddings. */
export function embeddingsOfSplit(stored: StoredEmbeddings, split: Split): Pick<StoredEmbeddings, 'width' | 'rows' | 'image' | 'text'> & { readonly count: number } {
  const { width } = stored;
  const places = stored.rows.flatMap((row, index) => (row.split === split ? [index] : []));
  const gathered = (values: Float32Array): Float32Array => {
    if (places.length === stored.rows.length) return values;
    const out = new Float32Array(places.length * width);
    places.forEach((place, index) => out.set(values.subarray(place * width, (place + 1) * width), index * width));
    return out;
  };
  return { count: places.length, width, rows: places.map((place) => stored.rows[place]!), image: gathered(stored.image), text: gathered(stored.text) };
}
