import type { Command } from 'commander';

/** What a command may use of the program it belongs to. */
export interface CommandContext {
  readonly projectRoot: string;
  /** Writes text as it is; lines end with a newline. */
  write(text: string): void;
  writeError(text: string): void;
  readonly isTerminal: boolean;
  /** Machine-readable output was asked for. */
  readonly json: boolean;
}

/** A command that the study adds to the program. */
export interface StudyCommand {
  readonly name: string;
  register(program: Command, context: CommandContext): void;
}

/** A command that cannot do what it was asked to. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** 1: it failed. 2: it was called wrongly. 3: this machine lacks something. */
  readonly exitCode: 1 | 2 | 3;
  readonly hint: string;

  constructor(message: string, exitCode: 1 | 2 | 3, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
    this.hint = hint;
  }
}

/** Rows in columns, the first flush left and the others flush right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const cell = (text: string, column: number): string => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!));
  return rows.map((row) => `${row.map(cell).join('  ').trimEnd()}\n`).join('');
}
