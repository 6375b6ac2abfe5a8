/**
 * The terminal side of the live view: finished lines go up into the scrollback, the few rows below them are written again
 * in place. The rows are cut to the terminal before they come here, so that nothing has to be laid out or measured: a
 * layout library takes more processor time for one picture than the run itself does between two.
 */
import { textWidth } from '../width.ts';

/** The little that is asked of the terminal that is written to, so that tests can read what was written. */
export interface ScreenStream {
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Screen {
  /** `lines` stay; `rows` are at the bottom until the next picture. Each row is at most as wide as the terminal. */
  show(lines: readonly string[], rows: readonly string[]): void;
  /** Takes the rows away and gives the cursor back. */
  close(): void;
}

const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';
const eraseBelow = '\u001b[J';
/** Terminals that know this pair show all between them at once; the others leave it out. */
const beginPicture = '\u001b[?2026h';
const endPicture = '\u001b[?2026l';

export function createScreen(stream: ScreenStream): Screen {
  let shown: readonly string[] = [];
  const giveCursorBack = (): void => void stream.write(showCursor);
  // However the program ends, short of being killed, the user's shell has its cursor.
  process.once('exit', giveCursorBack);
  stream.write(hideCursor);

  const show = (lines: readonly string[], rows: readonly string[]): void => {
    if (lines.length === 0 && rows.length === shown.length && rows.every((row, i) => row === shown[i])) return;
    const up = heightOf(shown, stream.columns ?? 80);
    // Erased before it is written: after a line as wide as the terminal, erasing would take its last character.
    const text = [...lines, ...rows].map(line => `${line}\n`).join('');
    stream.write(`${beginPicture}${up > 0 ? `\u001b[${up}A` : ''}\r${eraseBelow}${text}${endPicture}`);
    shown = rows;
  };

  return {
    show,
    close: () => {
      show([], []);
      process.off('exit', giveCursorBack);
      giveCursorBack();
    },
  };
}

/** Lines that rows take on the terminal as it is now: one that has become narrower has broken them. */
const heightOf = (rows: readonly string[], columns: number): number => rows.reduce((sum, row) => sum + Math.max(1, Math.ceil(textWidth(row) / columns)), 0);
