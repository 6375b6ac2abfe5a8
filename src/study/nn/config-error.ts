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
