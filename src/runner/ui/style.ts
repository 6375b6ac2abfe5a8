/** Colours by meaning. Only the sixteen of every terminal, so that its own theme decides how they look. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  accent(text: string): string;
}

const paint =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001B[${open}m${text}\u001B[${close}m`;

const plain = (text: string): string => text;

export function makeStyle(color: boolean): Style {
  if (!color) return { bold: plain, dim: plain, good: plain, bad: plain, warn: plain, accent: plain };
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    good: paint(32, 39),
    bad: paint(31, 39),
    warn: paint(33, 39),
    accent: paint(36, 39),
  };
}
