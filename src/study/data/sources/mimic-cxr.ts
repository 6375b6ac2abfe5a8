import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Candidate } from '../collect.ts';
import type { OpenedSource } from '../open-source.ts';
import type { LeftOut } from '../pairs.ts';
import type { Split } from '../splits.ts';
import { captionProblem } from '../table.ts';
import { isImageName, splitOfWord, stemOf } from './source.ts';
import type { SourceRows } from './source.ts';

export const mimicTerms = 'MIMIC-CXR is under the PhysioNet Credentialed Health Data Licence 1.5.0: it is read from a local copy alone, and what is made of it must stay with those who hold the credentials';

/** A report's findings and impression, without headings and the underscores that stand for names; all of it where it has neither. */
export function reportText(report: string): string {
  const sections = new Map<string, string>();
  for (const [, heading = '', body = ''] of report.matchAll(/^[ \t]*([A-Z][A-Z /()-]+):(.*(?:\n(?![ \t]*[A-Z][A-Z /()-]+:).*)*)/gm)) sections.set(heading.trim(), body);
  const wanted = ['FINDINGS', 'IMPRESSION'].map(heading => sections.get(heading) ?? '').filter(body => body.trim() !== '');
  return (wanted.length > 0 ? wanted.join(' ') : report.replace(/^\s*FINAL REPORT\s*/, '')).replace(/_{2,}/g, '').replace(/\s+/g, ' ').trim();
}

/**
 * Reads a local copy of MIMIC-CXR-JPG with the reports of MIMIC-CXR beside it: `files/p10/p10000032/s50414267/….jpg` and
 * `files/p10/p10000032/s50414267.txt`, splits from `mimic-cxr-2.0.0-split.csv(.gz)`. A patient is a group.
 *
 * @throws Error when there is no such image
 */
export async function readMimicCxr(source: OpenedSource): Promise<SourceRows> {
  const leftOut: LeftOut[] = [];
  const candidates: Candidate[] = [];
  const splits = new Map<string, Split>();
  const splitFile = source.files.find(({ path }) => /(^|\/)mimic-cxr-[\d.]+-split\.csv(\.gz)?$/.test(path));
  if (splitFile !== undefined) {
    const bytes = await readFile(join(splitFile.root, splitFile.path));
    const [head = '', ...lines] = (splitFile.path.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: 1 << 28 }) : bytes).toString('utf8').split(/\r?\n/);
    const columns = head.split(',');
    const [image, word] = [columns.indexOf('dicom_id'), columns.indexOf('split')];
    if (image < 0 || word < 0) throw new Error(`${splitFile.path} has no columns dicom_id and split`);
    for (const line of lines) {
      const split = splitOfWord(line.split(',')[word] ?? '');
      if (split !== undefined) splits.set(line.split(',')[image] ?? '', split);
    }
  }
  const reports = new Map(source.files.filter(({ path }) => /(^|\/)s\d+\.txt$/.test(path)).map(file => [stemOf(file.path), file]));
  const texts = new Map<string, string>();
  for (const { root, path } of source.files) {
    if (!isImageName(path)) continue;
    const [, patient, study] = /(?:^|\/)(p\d{8})\/(s\d{8})\/[^/]+$/.exec(path) ?? [];
    const id = stemOf(path);
    if (patient === undefined || study === undefined) {
      leftOut.push({ id, kind: 'path', reason: `${path} is not of the form p10000032/s50414267/image.jpg` });
      continue;
    }
    const report = reports.get(study);
    if (report === undefined) {
      leftOut.push({ id, kind: 'no caption', reason: `there is no report ${study}.txt` });
      continue;
    }
    const caption = texts.get(study) ?? reportText(await readFile(join(report.root, report.path), 'utf8'));
    texts.set(study, caption);
    const problem = captionProblem(caption);
    if (problem !== undefined) leftOut.push({ id, kind: 'text', reason: `${study}.txt: ${problem}` });
    else if (splits.size > 0 && !splits.has(id)) leftOut.push({ id, kind: 'split', reason: `${splitFile?.path} does not name it` });
    else candidates.push({ id, root, file: path, caption, group: patient, split: splits.get(id) ?? 'train', licence: 'PhysioNet credentialed', modality: 'x-ray', source: 'mimic-cxr' });
  }
  if (candidates.length === 0 && leftOut.length === 0) throw new Error('there are no images: is this a copy of MIMIC-CXR-JPG?');
  return { candidates, leftOut, about: { source: 'MIMIC-CXR', terms: mimicTerms, text: 'findings and impression' } };
}
