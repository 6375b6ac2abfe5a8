import { readFile } from 'node:fs/promises';

/** A metrics file is JSON Lines; what JSON cannot hold is written as the texts that the runner reads back. */
export interface MetricLine {
  readonly metric: string;
  readonly value: number;
  readonly step?: number;
}

/** A number as JSON can hold it: NaN and the infinities become texts. */
export const jsonNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** One line a metric, `{ metric, value, step? }`. */
export function metricLines(rows: Iterable<MetricLine>): string {
  let text = '';
  for (const row of rows) text += `${JSON.stringify({ ...row, value: jsonNumber(row.value) })}\n`;
  return text;
}

/** The last value of each metric; texts such as "NaN" and "Infinity" are numbers too, null is NaN. */
export async function readMetrics(file: string): Promise<Map<string, number>> {
  const metrics = new Map<string, number>();
  (await readFile(file, 'utf8')).split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch (cause) {
      throw new Error(`${file}:${index + 1}: not JSON: ${line.slice(0, 80)}`, { cause });
    }
    if (typeof row !== 'object' || row === null || !('metric' in row) || !('value' in row) || typeof row.metric !== 'string') {
      throw new Error(`${file}:${index + 1}: not a metric: ${line.slice(0, 80)}`);
    }
    const { metric, value } = row;
    metrics.set(metric, value === null ? NaN : Number(value));
  });
  return metrics;
}
