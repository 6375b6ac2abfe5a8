/** Drawings made of characters: a progress bar and a curve in one line. */
import { sparkline as blocks } from '../../chart/terminal.ts';

/** `████░░░░`, always `columns` wide. */
export function progressBar(fraction: number, columns: number): string {
  const share = Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0;
  const full = Math.floor(share * columns + 1e-9);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}

/** A curve of the values, at most `columns` wide: each column is the mean of its share of them. Gaps for what is not finite. */
export function sparkline(values: readonly number[], columns: number): string {
  if (values.length === 0 || columns <= 0) return '';
  const bins = Math.min(columns, values.length);
  const means = Array.from({ length: bins }, (_, bin) => {
    const from = Math.floor((bin * values.length) / bins);
    const to = Math.floor(((bin + 1) * values.length) / bins);
    const part = values.slice(from, to).filter(Number.isFinite);
    return part.length === 0 ? Number.NaN : part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  return blocks(means);
}
