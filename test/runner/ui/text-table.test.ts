import { describe, expect, test } from 'vitest';
import { formatTable } from '../../../src/runner/ui/text-table.ts';
import type { Table } from '../../../src/runner/ui/text-table.ts';

const table: Table = {
  columns: ['size', 'loss', 'a,"b"'],
  rows: [['d16l1', 2.91347, 'x|y'], ['日本', undefined, 'a_b%'], ['d32', 'NaN', 'one,two']],
};

describe('tables', () => {
  test('text lines columns up by what the terminal shows, numbers to the right', () => {
    expect(formatTable(table, 'text')).toBe(
      ['size    loss  a,"b"', 'd16l1  2.913  x|y', '日本          a_b%', 'd32      NaN  one,two', ''].join('\n'));
  });

  test('CSV quotes what needs it and keeps every digit', () => {
    expect(formatTable(table, 'csv')).toBe('size,loss,"a,""b"""\nd16l1,2.91347,x|y\n日本,,a_b%\nd32,NaN,"one,two"\n');
  });

  test('Markdown and LaTeX escape their own characters', () => {
    expect(formatTable(table, 'md')).toContain('| d16l1 | 2.913 | x\\|y |');
    expect(formatTable(table, 'latex')).toContain('日本 &  & a\\_b\\% \\\\');
  });

  test('JSON has one object a row, without the values that are not there', () => {
    expect(JSON.parse(formatTable(table, 'json'))).toEqual([
      { size: 'd16l1', loss: 2.91347, 'a,"b"': 'x|y' }, { size: '日本', 'a,"b"': 'a_b%' }, { size: 'd32', loss: 'NaN', 'a,"b"': 'one,two' },
    ]);
  });
});
