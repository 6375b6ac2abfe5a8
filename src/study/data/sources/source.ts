import type { Candidate } from '../collect.ts';
import type { LeftOut } from '../pairs.ts';
import type { Question } from '../questions.ts';
import type { Split } from '../splits.ts';

/** What a source's reader finds: rows whose images are still where they lie, and what it cannot use. */
export interface SourceRows {
  readonly candidates: readonly Candidate[];
  readonly leftOut: readonly LeftOut[];
  /** Sources of visual question answering. */
  readonly questions?: readonly Question[];
  /** For the report. */
  readonly about: Readonly<Record<string, unknown>>;
}

const splitWords: Readonly<Record<string, Split>> = { train: 'train', training: 'train', val: 'validation', valid: 'validation', validate: 'validation', validation: 'validation', dev: 'validation', test: 'test', testing: 'test' };

/** A split by any of its usual names. */
export const splitOfWord = (word: string): Split | undefined => splitWords[word.trim().toLowerCase()];

const imageEndings = /\.(jpe?g|png|gif|tiff?|webp|bmp|dcm)$/i;
export const isImageName = (path: string): boolean => imageEndings.test(path);

/** A file's name without folders and ending. */
export const stemOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.[^.]*$/, '');
