import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Candidate } from '../collect.ts';
import { modalityOfLabel } from '../modality-labels.ts';
import { fieldsOf, pathOf, readJson, rowsOf } from '../open-source.ts';
import type { OpenedSource, TextFields } from '../open-source.ts';
import type { LeftOut } from '../pairs.ts';
import type { Split } from '../splits.ts';
import { splitOfWord } from './source.ts';
import type { SourceRows } from './source.ts';

/** Which text goes with an image: `case` is caption, history, exam and findings; `discussion` adds the disease discussion. */
export type MedpixText = 'caption' | 'findings' | 'case' | 'discussion';

interface Case {
  readonly case: TextFields;
  readonly topic: TextFields;
}

const none: TextFields = () => '';
const object = (value: unknown): TextFields => (typeof value === 'object' && value !== null ? fieldsOf(value) : none);

/** `N/A` and the like are no text. */
const said = (text: string): string => (/^(n\/?a|none|null|\.)$/i.test(text) ? '' : text);

function textOf(kind: MedpixText, caption: string, { case: words, topic }: Case): string {
  if (kind === 'caption') return caption;
  if (kind === 'findings') return said(words('Findings'));
  const parts = [caption, words('History'), words('Exam'), words('Findings'), ...(kind === 'discussion' ? [topic('Disease Discussion')] : [])];
  return parts.map(said).filter(part => part !== '').join('\n');
}

/** The split of each case, from `descriptions_train.jsonl` and its siblings; empty where they are not at hand. */
async function caseSplits(source: OpenedSource, leftOut: LeftOut[]): Promise<Map<string, Split>> {
  const splits = new Map<string, Split>();
  for (const { root, path } of source.files) {
    const word = /(?:^|\/)descriptions_(train|dev|test)\.jsonl$/.exec(path)?.[1];
    const split = word === undefined ? undefined : splitOfWord(word);
    if (split === undefined) continue;
    for (const [index, line] of (await readFile(join(root, path), 'utf8')).split('\n').entries()) {
      if (line.trim() === '') continue;
      try {
        const id = object(JSON.parse(line))('U_id');
        const earlier = splits.get(id);
        if (earlier !== undefined && earlier !== split) leftOut.push({ id, kind: 'split', reason: `the case is in ${earlier} and ${split}; the first one counts` });
        else splits.set(id, split);
      } catch (error) {
        leftOut.push({ id: `${basename(path)}:${index + 1}`, kind: 'text', reason: error instanceof Error ? error.message : String(error) });
      }
    }
  }
  return splits;
}

/**
 * Reads a local copy of MedPix 2.0: `Descriptions.json`, `Case_topic.json`, `splitted_dataset/descriptions_*.jsonl`, `images/*.png`.
 * Drawings are left out; a case is a group.
 *
 * @throws Error when a file is missing or no list
 */
export async function readMedpix(source: OpenedSource, text: MedpixText): Promise<SourceRows> {
  const need = (name: string): string => {
    const path = pathOf(source, name);
    if (path === undefined) throw new Error(`there is no ${name}: is this a copy of MedPix 2.0?`);
    return path;
  };
  const leftOut: LeftOut[] = [];
  const cases = new Map<string, Case>();
  for (const value of (await readJson(need('Case_topic.json'))) as readonly unknown[]) {
    const row = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
    if (typeof row.U_id === 'string') cases.set(row.U_id, { case: object(row.Case), topic: object(row.Topic) });
  }
  const descriptions = need('Descriptions.json');
  const values = await readJson(descriptions);
  const splits = await caseSplits(source, leftOut);
  const candidates: Candidate[] = [];
  rowsOf(values, 'Descriptions.json').forEach((row, index) => {
    const details = object((values as readonly Readonly<Record<string, unknown>>[])[index]?.Description);
    const [id, group] = [row('image'), row('U_id')];
    const where = `Descriptions.json, entry ${index + 1}`;
    const without = (kind: string, reason: string): void => void leftOut.push({ id: id || where, kind, reason: `${where}: ${reason}` });
    if (id === '' || group === '') return without('text', 'image or U_id is missing');
    if (/drawing/i.test(details('Modality'))) return without('drawing', 'it is a drawing');
    const found = cases.get(group);
    if (found === undefined && text !== 'caption') return without('text', `Case_topic.json has no case ${group}`);
    const caption = textOf(text, said(details('Caption')), found ?? { case: none, topic: none });
    if (caption === '') return without('text', `the case has no ${text}`);
    const split = splits.get(group);
    if (split === undefined && splits.size > 0) return without('split', `no splitted_dataset/descriptions file names the case ${group}`);
    const image = source.find(`${id}.png`)[0] ?? source.find(`${id}.jpg`)[0];
    candidates.push({
      id, root: image?.root ?? source.files[0]?.root ?? '', file: image?.path ?? `images/${id}.png`, caption, group,
      split: split ?? 'train',
      licence: 'MedPix terms',
      modality: modalityOfLabel(details('Modality')) ?? modalityOfLabel(row('Type')),
      source: 'medpix',
    });
  });
  return { candidates, leftOut, about: { source: 'MedPix 2.0', text, terms: medpixTerms, cases: cases.size, splits: splits.size > 0 ? 'by case, as published' : 'none published at hand: all train' } };
}

export const medpixTerms = "MedPix is the US National Library of Medicine's, under its terms of use; MedPix 2.0 has no licence of its own: cite Siragusa and others 2025";
