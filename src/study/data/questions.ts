import { readJsonLines } from './json-lines.ts';
import { writeJsonLines } from './pairs.ts';
import { splitNames } from './splits.ts';
import type { Split } from './splits.ts';

/** A question about an image: a row of `questions.jsonl`. */
export interface Question {
  readonly id: string;
  /** The id of a pair of the same source, whether or not the image is at hand. */
  readonly image: string;
  readonly question: string;
  readonly answer: string;
  /** `closed`: yes or no, or a choice that the question names; `open`: anything. */
  readonly kind: 'open' | 'closed';
  readonly split: Split;
  /** What no two splits of a fold may share: the image. */
  readonly group: string;
  readonly language: string;
  /** What is asked for, in the source's words: `PRES`, `Position` … */
  readonly type: string;
  /** VQA-RAD: `freeform` or `para` (the two test sets of the literature); else empty. */
  readonly phrase: string;
  readonly modality: string | null;
}

export const writeQuestions = (file: string, questions: readonly Question[]): Promise<void> => writeJsonLines(file, questions);

/** @throws JsonLinesError naming the line that is no question */
export const readQuestions = (file: string): Promise<Question[]> =>
  readJsonLines(file, row => {
    const texts = ['id', 'image', 'question', 'answer', 'group', 'language', 'type', 'phrase'];
    const missing = texts.find(name => typeof row[name] !== 'string');
    if (missing !== undefined) return `"${missing}" is missing or not text`;
    if (row['kind'] !== 'open' && row['kind'] !== 'closed') return '"kind" must be open or closed';
    if (!splitNames.some(split => split === row['split'])) return `"split" must be one of ${splitNames.join(', ')}`;
    return row['modality'] === null || typeof row['modality'] === 'string' ? { value: row as unknown as Question } : '"modality" must be text or null';
  });
