import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import type { Candidate } from '../collect.ts';
import type { OpenedSource, SourceFile } from '../open-source.ts';
import type { LeftOut } from '../pairs.ts';
import { splitByGroup } from '../splits.ts';
import type { Split } from '../splits.ts';
import { captionProblem, decodeText, field, readTable } from '../table.ts';
import type { Encoding } from '../table.ts';
import { isImageName, splitOfWord, stemOf } from './source.ts';
import type { SourceRows } from './source.ts';

export interface FolderOptions {
  readonly encoding: Encoding;
  /** What the rows are called in reports and tables. */
  readonly name: string;
  /** For rows without a licence of their own. */
  readonly licence: string;
  /** Where no row says its split: shares drawn by group. */
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
}

const imageColumns = ['image', 'file', 'filename', 'file_name', 'image_path', 'path', 'image_name'];
const captionColumns = ['caption', 'text', 'report', 'description'];
const groupColumns = ['group', 'patient', 'patient_id', 'patientid', 'case', 'case_id', 'article', 'study', 'pmcid'];

type Row = Omit<Candidate, 'split'> & { readonly split: Split | undefined };

async function fromTable(source: OpenedSource, table: SourceFile, options: FolderOptions): Promise<{ rows: Row[]; leftOut: LeftOut[] }> {
  const { name, rows: read, bad } = await readTable(join(table.root, table.path), [imageColumns, captionColumns], options.encoding);
  const base = table.path.slice(0, table.path.length - name.length);
  const leftOut: LeftOut[] = bad.map(({ line, reason }) => ({ id: `${name}:${line}`, kind: 'text', reason }));
  const rows: Row[] = [];
  for (const row of read) {
    const file = field(row, ...imageColumns);
    const id = field(row, 'id', 'image_id') || file.replace(/\.[^./]*$/, '');
    const caption = field(row, ...captionColumns);
    const word = field(row, 'split', 'set');
    const split = splitOfWord(word);
    const without = (kind: string, reason: string): void => void leftOut.push({ id: id || `${name}:${row.line}`, kind, reason: `${name}:${row.line}: ${reason}` });
    const problem = captionProblem(caption);
    if (file === '') without('text', 'no image is named');
    else if (problem !== undefined) without('text', problem);
    else if (word !== '' && split === undefined) without('text', `"${word}" is no split: use train, validation or test`);
    else {
      // Paths are from the table, or from a folder `images` beside it.
      const beside = [file, `images/${file}`].map(path => `${base}${path}`).find(path => source.find(path).some(found => found.root === table.root && found.path === path));
      const concepts = field(row, 'concepts', 'cuis').split(/[;,\s]+/).filter(concept => concept !== '');
      rows.push({
        id, root: table.root, file: beside ?? `${base}${file}`, caption, split,
        group: field(row, ...groupColumns) || id,
        licence: field(row, 'licence', 'license') || options.licence,
        modality: field(row, 'modality').toLowerCase() || null,
        source: options.name,
        ...(concepts.length === 0 ? {} : { concepts }),
      });
    }
  }
  const named = new Set(rows.map(row => row.file));
  const mentioned = new Set(leftOut.map(row => row.id));
  for (const { root, path } of source.files) {
    if (root !== table.root || !isImageName(path) || named.has(path)) continue;
    const id = path.slice(base.length).replace(/\.[^./]*$/, '');
    if (!mentioned.has(id) && !mentioned.has(id.replace(/^images\//, ''))) leftOut.push({ id, kind: 'no caption', reason: `${name} has no row for the image ${path}` });
  }
  return { rows, leftOut };
}

async function fromTexts(source: OpenedSource, options: FolderOptions): Promise<{ rows: Row[]; leftOut: LeftOut[] }> {
  const texts = new Map(source.files.filter(({ path }) => path.endsWith('.txt')).map(file => [`${file.root}/${file.path.slice(0, -4)}`, file]));
  const used = new Set<SourceFile>();
  const rows: Row[] = [];
  const leftOut: LeftOut[] = [];
  for (const image of source.files.filter(({ path }) => isImageName(path))) {
    const id = image.path.replace(/\.[^./]*$/, '');
    const text = texts.get(`${image.root}/${id}`);
    if (text === undefined) {
      leftOut.push({ id, kind: 'no caption', reason: `there is no ${stemOf(image.path)}.txt beside ${image.path}` });
      continue;
    }
    used.add(text);
    const caption = decodeText(await readFile(join(text.root, text.path)), options.encoding).trim();
    const problem = captionProblem(caption);
    if (problem !== undefined) leftOut.push({ id, kind: 'text', reason: `${text.path}: ${problem}` });
    else rows.push({ id, root: image.root, file: image.path, caption, split: undefined, group: id, licence: options.licence, modality: null, source: options.name });
  }
  for (const text of texts.values()) if (!used.has(text)) leftOut.push({ id: text.path.slice(0, -4), kind: 'absent', reason: `there is no image beside ${text.path}` });
  return { rows, leftOut };
}

/**
 * Reads any folder of images: with `captions.csv`, `.tsv` or `.jsonl` (columns image and caption; id, group or patient, split,
 * licence, modality, concepts may be there), or with a text of the same name beside each image.
 *
 * @throws Error when there is neither; TableError for a column that is missing
 */
export async function readFolder(source: OpenedSource, options: FolderOptions): Promise<SourceRows> {
  const tables = ['csv', 'tsv', 'jsonl'].flatMap(ending => source.find(`captions.${ending}`));
  const [table, second] = tables.sort((x, y) => x.path.split('/').length - y.path.split('/').length);
  if (table !== undefined && second !== undefined && second.path.split('/').length === table.path.split('/').length) {
    throw new Error(`there is ${table.path} and ${second.path}: which one counts? Leave one`);
  }
  const { rows, leftOut } = table === undefined ? await fromTexts(source, options) : await fromTable(source, table, options);
  if (rows.length === 0 && leftOut.length === 0) throw new Error('the folder holds no captions.csv, captions.tsv or captions.jsonl, and no image with a text of the same name beside it');
  const drawn = splitByGroup(rows.map(row => row.group), options);
  const said = rows.some(row => row.split !== undefined);
  const candidates = rows.map((row, index): Candidate => ({ ...row, split: row.split ?? (said ? 'train' : (drawn[index] ?? 'train')) }));
  return { candidates, leftOut, about: { source: options.name, captions: table?.path ?? 'a text beside each image', splits: said ? 'as the rows say, train where they do not' : `drawn by group, seed ${options.seed}` } };
}
