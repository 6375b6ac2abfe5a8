import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parse } from 'csv-parse/sync';

export const encodings = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const;
export type Encoding = (typeof encodings)[number];

/** A row of a table: its fields by column name (trimmed, lower case), and where it stands. */
export interface TableRow {
  readonly fields: ReadonlyMap<string, string>;
  readonly line: number;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly TableRow[];
  /** Rows that cannot be read, by line. */
  readonly bad: readonly { readonly line: number; readonly reason: string }[];
}

/** A table that cannot be used at all, with what to do about it. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

/** Text of bytes; a byte order mark decides over `encoding`. Bytes that are not valid become U+FFFD, which rows are checked for. */
export function decodeText(bytes: Buffer, encoding: Encoding): string {
  const marked: Encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : bytes[0] === 0xef && bytes[1] === 0xbb ? 'utf-8' : encoding;
  return new TextDecoder(marked).decode(bytes);
}

const normal = (column: string): string => column.trim().toLowerCase();

function parseJsonLines(text: string, name: string): Table {
  const rows: TableRow[] = [];
  const bad: { line: number; reason: string }[] = [];
  const columns = new Set<string>();
  text.split('\n').forEach((raw, index) => {
    if (raw.trim() === '') return;
    const line = index + 1;
    try {
      const value: unknown = JSON.parse(raw);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('a row must be an object');
      const fields = new Map<string, string>();
      for (const [key, entry] of Object.entries(value)) {
        if (entry === null) continue;
        fields.set(normal(key), Array.isArray(entry) ? entry.join(';') : typeof entry === 'object' ? JSON.stringify(entry) : String(entry));
        columns.add(normal(key));
      }
      rows.push({ fields, line });
    } catch (error) {
      bad.push({ line, reason: `not a JSON object: ${error instanceof Error ? error.message : String(error)}` });
    }
  });
  return { name, columns: [...columns], rows, bad };
}

function parseDelimited(text: string, name: string, delimiter: string): Table {
  const bad: { line: number; reason: string }[] = [];
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(text, { bom: true, delimiter, info: true, relax_column_count: true, skip_empty_lines: true, relax_quotes: delimiter === '\t', quote: delimiter === '\t' ? null : '"' }) as unknown as typeof records;
  } catch (error) {
    throw new TableError(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const [head, ...body] = records;
  const columns = (head?.record ?? []).map(normal);
  const twice = columns.find((column, index) => column !== '' && columns.indexOf(column) !== index);
  if (twice !== undefined) throw new TableError(`${name}:1: the column "${twice}" is there twice`);
  const rows: TableRow[] = [];
  for (const { record, info } of body) {
    if (record.length === columns.length) rows.push({ fields: new Map(record.map((value, index) => [columns[index] ?? '', value])), line: info.lines });
    else bad.push({ line: info.lines, reason: `${record.length} fields under ${columns.length} columns` });
  }
  return { name, columns, rows, bad };
}

/**
 * Reads `.csv` (comma, or semicolon where the header has that), `.tsv`, `.jsonl`, or a `.json` list of objects.
 *
 * @param columns each a list of names that mean the same, of which one must be there
 * @throws TableError naming the file, the column that is missing and those there are
 */
export async function readTable(path: string, columns: readonly (readonly string[])[], encoding: Encoding = 'utf-8'): Promise<Table> {
  const name = basename(path);
  const text = decodeText(await readFile(path), encoding);
  if (/^\s*<(!doctype|html)/i.test(text.slice(0, 200))) throw new TableError(`${name} is a web page, not a table`);
  if (text.includes('\0')) throw new TableError(`${name} holds zero bytes: it is no text, or of another encoding than ${encoding} (set encoding to ${encodings.join(', ')})`);
  const ending = /\.(csv|tsv|txt|jsonl|ndjson)$/i.exec(name)?.[1]?.toLowerCase();
  const firstLine = text.slice(0, Math.max(0, text.indexOf('\n')) || undefined);
  const table = ending === 'jsonl' || ending === 'ndjson'
    ? parseJsonLines(text, name)
    : parseDelimited(text, name, ending === 'tsv' || ending === 'txt' ? '\t' : !firstLine.includes(',') && firstLine.includes(';') ? ';' : ',');
  for (const names of columns) {
    if (names.some(wanted => table.columns.includes(wanted))) continue;
    const badNote = table.rows.length === 0 && table.bad[0] !== undefined ? ` Line ${table.bad[0].line}: ${table.bad[0].reason}.` : '';
    throw new TableError(`${name}: there is no column "${names.join('" or "')}"; the columns are ${table.columns.map(column => `"${column}"`).join(', ') || 'none'}.${badNote}`);
  }
  return table;
}

/** The first of several columns that a row has something in. */
export function field(row: TableRow, ...names: readonly string[]): string {
  for (const name of names) {
    const value = row.fields.get(name)?.trim();
    if (value !== undefined && value !== '') return value;
  }
  return '';
}

/** Why a text cannot be a caption, if so. */
export function captionProblem(caption: string): string | undefined {
  if (caption === '') return 'the caption is empty';
  return caption.includes('\ufffd') ? 'the caption is not valid text in this encoding (is it windows-1252? set encoding)' : undefined;
}
