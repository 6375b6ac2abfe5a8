/** Documents that show what the program prints: tests compare them with what it does print. */
import { readFileSync, writeFileSync } from 'node:fs';

/** With PIPE_WRITE_DOCS=1 the document is written instead of compared. */
const writing = process.env['PIPE_WRITE_DOCS'] === '1';

/** The text of a document of this repository, by its path from the root. */
export const readDocument = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** What the document has to hold, or `null` when it holds it (or was just made to). */
export function differenceFrom(path: string, text: string): { readonly path: string; readonly expected: string } | null {
  if (writing) writeFileSync(new URL(`../../${path}`, import.meta.url), text);
  return readDocument(path) === text ? null : { path, expected: text };
}
