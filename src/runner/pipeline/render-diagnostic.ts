import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Diagnostic } from '../diagnostic.ts';
import type { Position } from './model.ts';

interface RenderOptions {
  readonly color: boolean;
  /** Files are shown relative to this folder. */
  readonly cwd: string;
}

/**
 * `file:line:column: error[code]: message`, the source line with a squiggle under the wrong place, related places, and
 * `hint: …`. Ends without a newline.
 */
export function renderDiagnostic(diagnostic: Diagnostic, options: RenderOptions): string {
  const paint = painter(options.color);
  const where = diagnostic.position ? `${paint.bold(placeText(diagnostic.position, options.cwd))}: ` : '';
  const lines = [`${where}${paint.red(`error[${diagnostic.code}]`)}: ${paint.bold(diagnostic.message)}`];
  if (diagnostic.position) lines.push(...excerpt(diagnostic.position, paint.red, paint.dim));
  for (const related of diagnostic.related) {
    lines.push(`${placeText(related.position, options.cwd)}: ${related.message}`);
    lines.push(...excerpt(related.position, paint.cyan, paint.dim));
  }
  if (diagnostic.hint !== null) lines.push(`${paint.cyan('hint')}: ${diagnostic.hint}`);
  return lines.join('\n');
}

type Paint = (text: string) => string;

function painter(color: boolean): { readonly bold: Paint; readonly red: Paint; readonly cyan: Paint; readonly dim: Paint } {
  const wrap = (code: number, end: number): Paint => text => (color ? `\u001b[${code}m${text}\u001b[${end}m` : text);
  return { bold: wrap(1, 22), red: wrap(31, 39), cyan: wrap(36, 39), dim: wrap(2, 22) };
}

function placeText(position: Position, cwd: string): string {
  const shown = relative(cwd, position.file);
  const path = shown === '' || shown.startsWith('../../..') ? position.file : shown;
  return `${path}:${position.line}:${position.column}`;
}

function excerpt(position: Position, paint: Paint, dim: Paint): string[] {
  let line: string | undefined;
  try {
    line = readFileSync(position.file, 'utf8').split(/\r?\n/)[position.line - 1];
  } catch {
    return []; // nothing to show of a file that cannot be read any more
  }
  if (line === undefined) return [];
  const number = String(position.line);
  const before = line.slice(0, position.column - 1);
  const marked = line.slice(position.column - 1, position.column - 1 + position.length);
  // Tabs stay tabs under tabs, and wide characters take two columns, so that the squiggle stands where it belongs.
  const indent = [...before].map(character => (character === '\t' ? '\t' : ' '.repeat(columns(character)))).join('');
  const width = Math.max(1, [...marked].reduce((sum, character) => sum + columns(character), 0));
  return [
    `${dim(`${number} |`)} ${line}`,
    `${dim(`${' '.repeat(number.length)} |`)} ${indent}${paint('~'.repeat(width))}`,
  ];
}

function columns(character: string): number {
  const code = character.codePointAt(0)!;
  if (/\p{Mn}/u.test(character)) return 0;
  const wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3)
    || (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60)
    || (code >= 0x1f300 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd);
  return wide ? 2 : 1;
}
