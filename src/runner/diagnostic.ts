import type { Position } from './pipeline/model.ts';

/** One mistake: what, where, and what to write instead. */
export interface Diagnostic {
  /** Stable and documented, such as `unknown-stage`. */
  readonly code: string;
  readonly message: string;
  readonly position: Position | null;
  readonly hint: string | null;
  /** Other places that belong to it, such as the first declaration of a duplicate. */
  readonly related: readonly { readonly message: string; readonly position: Position }[];
}

/** An expected failure: shown as it is, without a stack. */
export class PipeError extends Error {
  override readonly name: string = 'PipeError';
  /** 1 a stage failed; 2 usage or an invalid pipeline; 3 the machine lacks something. */
  readonly exitCode: 1 | 2 | 3;
  readonly code: string;
  readonly hint: string | null;
  /** Where in a file of code the mistake is; the message begins with it. */
  readonly position: Position | null;

  constructor(message: string, options: { exitCode: 1 | 2 | 3; code: string; hint?: string | null; position?: Position | null; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
    this.code = options.code;
    this.hint = options.hint ?? null;
    this.position = options.position ?? null;
  }
}

/** An invalid pipeline: every mistake found, in the order of their places. */
export class InvalidPipeline extends PipeError {
  override readonly name = 'InvalidPipeline';
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(d => d.message).join('\n'), { exitCode: 2, code: 'invalid-pipeline' });
    this.diagnostics = diagnostics;
  }
}
