import { closest } from '../../closest.ts';

/** A size or preset that does not exist, or does not fit what goes in. */
export class ModelConfigError extends Error {
  override readonly name = 'ModelConfigError';
  readonly exitCode = 2;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** `did you mean n3? `, or nothing where no name is near. */
export function guess(word: string, names: readonly string[]): string {
  const meant = closest(word, names);
  return meant === null ? '' : `did you mean ${meant}? `;
}

/** What to write instead of a name that is not known: the one that was probably meant, and all that there are. */
export const instead = (word: string, names: readonly string[]): string => `${guess(word, names)}one of ${names.join(', ')}`;
