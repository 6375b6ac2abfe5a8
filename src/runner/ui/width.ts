/** Columns that text takes in a terminal, and cutting and padding by them. */
import { stripVTControlCharacters } from 'node:util';

/** East Asian wide and emoji blocks take two columns, combining marks none. */
const wide = /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;
const zero = /\p{Mn}|\p{Me}|\u200B|\u200D|\uFE0F/u;

/** Columns of a text without line breaks; colour codes count for nothing. */
export function textWidth(text: string): number {
  const bare = stripVTControlCharacters(text);
  if (/^[\u0020-\u007E]*$/.test(bare)) return bare.length;
  let width = 0;
  for (const character of bare) width += zero.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

export const padEnd = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - textWidth(text)));
export const padStart = (text: string, columns: number): string => ' '.repeat(Math.max(0, columns - textWidth(text))) + text;

/** Cuts text (without colours) to so many columns, the last of which is `…` if anything went. */
export function cut(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let width = 0;
  let kept = '';
  for (const character of text) {
    const next = width + textWidth(character);
    if (next > columns - 1) break;
    width = next;
    kept += character;
  }
  return columns > 0 ? `${kept}…` : '';
}
