import { writeJsonLines } from './pairs.ts';
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
