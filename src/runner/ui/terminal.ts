/** What the terminal at the other end can show. */

/** The little that is asked of an output stream, so that tests can hand in plain objects. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

export interface TerminalFacts {
  /** Colours may be written. */
  readonly color: boolean;
  /** Lines may be redrawn and keys read: a terminal, and nobody said it is dumb or a build machine. */
  readonly interactive: boolean;
  readonly columns: number;
  readonly rows: number;
}

/**
 * Honours `NO_COLOR` and `FORCE_COLOR` (any value but `0` and `false`; `NO_COLOR` wins, as no-color.org asks, unless
 * colours are forced), `TERM=dumb` and `CI`.
 */
export function terminalFacts(stream: OutputStream, env: Readonly<Record<string, string | undefined>>): TerminalFacts {
  const isTerminal = stream.isTTY === true;
  const dumb = env['TERM'] === 'dumb';
  const forced = env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0' && env['FORCE_COLOR'] !== 'false';
  const refused = (env['NO_COLOR'] ?? '') !== '' || env['FORCE_COLOR'] === '0' || env['FORCE_COLOR'] === 'false';
  // Set to nothing counts, too: Ink, which draws the live view, thinks so.
  const builds = env['CI'] !== undefined && env['CI'] !== '0' && env['CI'] !== 'false';
  return {
    color: forced || (isTerminal && !dumb && !refused),
    interactive: isTerminal && !dumb && !builds,
    columns: stream.columns ?? 100,
    rows: stream.rows ?? 24,
  };
}
