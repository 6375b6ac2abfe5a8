import { join } from 'node:path';
import type { Candidate } from '../collect.ts';
import { mentionsFluoroscopy } from '../modality.ts';
import { modalityOfConcepts } from '../modality-labels.ts';
import type { OpenedSource, SourceFile } from '../open-source.ts';
import type { LeftOut } from '../pairs.ts';
import type { Split } from '../splits.ts';
import { captionProblem, field, readTable } from '../table.ts';
import type { TableRow } from '../table.ts';
import { isImageName, splitOfWord, stemOf } from './source.ts';
import type { SourceRows } from './source.ts';

const licenceWords = /\b(CC0|CC[ -]BY(?:[ -](?:NC|SA|ND))*)\b/i;
const licenceAddress = /creativecommons\.org\/(?:licenses\/(by(?:-(?:nc|sa|nd))*)|publicdomain\/zero)/i;

/** `CC BY-NC` of a licence row, wherever it says so; undefined where it does not. */
function licenceOf(row: TableRow): string | undefined {
  const text = [...row.fields.values()].join(' ');
  const address = licenceAddress.exec(text);
  if (address !== null) return address[1] === undefined ? 'CC0' : `CC ${address[1].toUpperCase()}`;
  const words = licenceWords.exec(text)?.[1]?.toUpperCase();
  return words === undefined || words === 'CC0' ? words : words.replace(/^CC[ -]BY/, 'CC BY').replace(/[ -](NC|SA|ND)/g, '-$1');
}

async function byId<T>(source: OpenedSource, name: string, columns: readonly (readonly string[])[], value: (row: TableRow) => T, leftOut: LeftOut[]): Promise<Map<string, T>> {
  const rows = new Map<string, T>();
  for (const file of source.find(name)) {
    const table = await readTable(join(file.root, file.path), columns);
    for (const { line, reason } of table.bad) leftOut.push({ id: `${name}:${line}`, kind: 'text', reason });
    for (const row of table.rows) rows.set(field(row, 'id'), value(row));
  }
  return rows;
}

const ids = (row: TableRow): string[] => field(row, 'cuis').split(';').map(id => id.trim()).filter(id => id !== '');

/**
 * Reads ROCOv2 as it is published: `train_captions.csv` (ID, Caption), `train_concepts_manual.csv` and `train_concepts.csv`
 * (ID, CUIs), `license_information.csv`, images in folders or archives; the same for valid and test, of which any may be missing.
 * The hand-set concept names the modality, but a fluoroscopy, which they call plain X-ray, is found by its caption.
 *
 * @throws Error when there is no captions file; TableError
 */
export async function readRocov2(source: OpenedSource): Promise<SourceRows> {
  const leftOut: LeftOut[] = [];
  const candidates: Candidate[] = [];
  const images = new Map<string, SourceFile>();
  for (const file of source.files) if (isImageName(file.path) && !images.has(stemOf(file.path))) images.set(stemOf(file.path), file);
  const licences = await byId(source, 'license_information.csv', [['id']], row => ({ licence: licenceOf(row), article: /PMC\d+/.exec([...row.fields.values()].join(' '))?.[0] }), leftOut);
  const captionFiles = source.files.filter(({ path }) => /(^|\/)(train|valid|validation|test)_captions\.csv$/.test(path));
  if (captionFiles.length === 0) throw new Error('there is no train_captions.csv, valid_captions.csv or test_captions.csv: is this a folder of ROCOv2?');
  const seen = new Set<string>();
  const unlabelled: Record<string, number> = {};
  for (const file of captionFiles) {
    const word = stemOf(file.path).replace('_captions', '');
    const split = splitOfWord(word) as Split;
    const manual = await byId(source, `${word}_concepts_manual.csv`, [['id'], ['cuis']], ids, leftOut);
    const automatic = await byId(source, `${word}_concepts.csv`, [['id'], ['cuis']], ids, leftOut);
    const table = await readTable(join(file.root, file.path), [['id'], ['caption']]);
    for (const { line, reason } of table.bad) leftOut.push({ id: `${table.name}:${line}`, kind: 'text', reason });
    for (const row of table.rows) {
      const id = field(row, 'id');
      const caption = field(row, 'caption');
      const problem = captionProblem(caption);
      seen.add(id);
      if (id === '' || problem !== undefined) {
        leftOut.push({ id: id || `${table.name}:${row.line}`, kind: 'text', reason: `${table.name}:${row.line}: ${problem ?? 'there is no id'}` });
        continue;
      }
      const label = modalityOfConcepts(manual.get(id) ?? []);
      if (label === null) unlabelled[split] = (unlabelled[split] ?? 0) + 1;
      const image = images.get(id);
      const concepts = [...new Set([...(manual.get(id) ?? []), ...(automatic.get(id) ?? [])])];
      candidates.push({
        id, root: image?.root ?? file.root, file: image?.path ?? `${id}.jpg`, caption, split,
        group: licences.get(id)?.article ?? id,
        licence: licences.get(id)?.licence ?? 'unknown',
        modality: label === 'x-ray' && mentionsFluoroscopy(caption) ? 'fluoroscopy' : label,
        source: 'rocov2',
        ...(concepts.length === 0 ? {} : { concepts }),
      });
    }
  }
  for (const [id, { path }] of images) if (!seen.has(id)) leftOut.push({ id, kind: 'no caption', reason: `no captions file has a row for ${path}` });
  return { candidates, leftOut, about: { source: 'ROCOv2', withoutModalityConcept: unlabelled } };
}
