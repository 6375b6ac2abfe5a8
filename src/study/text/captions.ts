/** The `captions` file: JSON Lines of `{ id, caption, split, group }`, in the order of the images. */
import { readFile } from 'node:fs/promises';

export interface Caption {
  readonly id: string;
  readonly caption: string;
  readonly split: string;
  readonly group: string;
}

/** A line of a captions file that cannot be used. */
export class CaptionFileError extends Error {
  override readonly name = 'CaptionFileError';
}

/**
 * Reads a captions file.
 * @throws CaptionFileError naming the file and line that is no JSON or lacks a field.
 */
export async function readCaptions(file: string): Promise<Caption[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  const captions: Caption[] = [];
  lines.forEach((line, index) => {
    if (line.trim() !== '') captions.push(parseLine(line, `${file}:${index + 1}`));
  });
  return captions;
}

/** Captions of a captions file by id. @throws CaptionFileError as readCaptions does */
export const captionsById = async (file: string): Promise<Map<string, string>> => new Map((await readCaptions(file)).map(({ id, caption }) => [id, caption]));

function parseLine(line: string, place: string): Caption {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw new CaptionFileError(`${place}: not JSON: ${line.slice(0, 80)}`, { cause });
  }
  const values = new Map<string, unknown>(typeof row === 'object' && row !== null ? Object.entries(row) : []);
  const text = (name: string): string => {
    const value = values.get(name);
    if (typeof value === 'string') return value;
    throw new CaptionFileError(`${place}: ${name} is ${JSON.stringify(value) ?? 'missing'}, not a text.`);
  };
  return { id: text('id'), caption: text('caption'), split: text('split'), group: text('group') };
}
