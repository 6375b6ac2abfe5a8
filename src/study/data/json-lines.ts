import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** A line that cannot be used. */
export class JsonLinesError extends Error {
  override readonly name = 'JsonLinesError';
}

/**
 * Reads JSON Lines, a row at a time, so that a large file needs no single large string.
 *
 * @param read gives the value, or says what is wrong with the row
 * @throws JsonLinesError naming file and line
 */
export async function readJsonLines<T>(file: string, read: (row: Readonly<Record<string, unknown>>) => { readonly value: T } | string): Promise<T[]> {
  const values: T[] = [];
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    line += 1;
    if (text.trim() === '') continue;
    let row: unknown;
    try {
      row = JSON.parse(text);
    } catch (cause) {
      throw new JsonLinesError(`${file}:${line}: not JSON: ${text.slice(0, 80)}`, { cause });
    }
    const found = typeof row === 'object' && row !== null ? read(row as Readonly<Record<string, unknown>>) : 'a row must be an object';
    if (typeof found === 'string') throw new JsonLinesError(`${file}:${line}: ${found}`);
    values.push(found.value);
  }
  return values;
}
