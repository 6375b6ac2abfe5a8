/** Rows and columns as text for a terminal, as CSV, Markdown, LaTeX or JSON. */
import type { Json } from '../json.ts';
import { formatNumber, formatValue } from './format.ts';
import { padEnd, padStart, textWidth } from './width.ts';

export type TableFormat = 'text' | 'csv' | 'md' | 'latex' | 'json';
export const tableFormats: readonly TableFormat[] = ['text', 'csv', 'md', 'latex', 'json'];

export interface Table {
  readonly columns: readonly string[];
  /** Cells by column; undefined where a row has no such value. Numbers that JSON cannot hold are texts. */
  readonly rows: readonly (readonly (Json | undefined)[])[];
}

export function formatTable(table: Table, format: TableFormat): string {
  switch (format) {
    case 'text':
      return textTable(table);
    case 'csv':
      return csvTable(table);
    case 'md':
      return markdownTable(table);
    case 'latex':
      return latexTable(table);
    case 'json':
      return jsonTable(table);
  }
}

/** As shown to people: measured numbers to four significant digits. */
export const shown = (value: Json | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'number' ? formatNumber(value) : formatValue(value);

/** Columns lined up by two spaces, those of numbers to the right; `heading` may colour the first line. */
export function textTable(table: Table, heading: (text: string) => string = text => text): string {
  const cells = table.rows.map(row => table.columns.map((_, i) => shown(row[i]).replaceAll('\n', ' ')));
  const numeric = table.columns.map((_, i) => {
    const values = table.rows.map(row => row[i]).filter(value => value !== undefined && value !== null);
    return values.length > 0 && values.every(value => typeof value === 'number' || value === 'NaN' || value === 'Infinity');
  });
  const widths = table.columns.map((name, i) => cells.reduce((most, row) => Math.max(most, textWidth(row[i] ?? '')), textWidth(name)));
  const line = (row: readonly string[]): string =>
    row.map((text, i) => (numeric[i] ? padStart(text, widths[i] ?? 0) : padEnd(text, widths[i] ?? 0))).join('  ').trimEnd();
  return [heading(line(table.columns)), ...cells.map(line)].join('\n') + '\n';
}

/** RFC 4180, numbers in full precision. */
function csvTable(table: Table): string {
  const field = (value: Json | undefined): string => {
    const text = value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [table.columns.map(field), ...table.rows.map(row => table.columns.map((_, i) => field(row[i])))]
    .map(row => row.join(','))
    .join('\n') + '\n';
}

function markdownTable(table: Table): string {
  const field = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const row = (fields: readonly string[]): string => `| ${fields.map(field).join(' | ')} |`;
  const rule = `|${table.columns.map(() => '---').join('|')}|`;
  return [row(table.columns), rule, ...table.rows.map(values => row(table.columns.map((_, i) => shown(values[i]))))].join('\n') + '\n';
}

const latexSpecial: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}', '{': '\\{', '}': '\\}', $: '\\$', '&': '\\&', '#': '\\#', '%': '\\%', _: '\\_',
  '^': '\\textasciicircum{}', '~': '\\textasciitilde{}',
};

function latexTable(table: Table): string {
  const field = (text: string): string => text.replaceAll(/[\\{}$&#%_^~]/g, character => latexSpecial[character] ?? character);
  const row = (fields: readonly string[]): string => `  ${fields.map(field).join(' & ')} \\\\`;
  return [
    `\\begin{tabular}{${'l'.repeat(table.columns.length)}}`,
    '  \\hline',
    row(table.columns),
    '  \\hline',
    ...table.rows.map(values => row(table.columns.map((_, i) => shown(values[i])))),
    '  \\hline',
    '\\end{tabular}',
  ].join('\n') + '\n';
}

/** One object a row, by column name; values a row does not have are left out. */
function jsonTable(table: Table): string {
  const rows = table.rows.map(row =>
    Object.fromEntries(table.columns.flatMap((name, i) => (row[i] === undefined ? [] : [[name, row[i]] as const]))),
  );
  return `${JSON.stringify(rows, null, 2)}\n`;
}
