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
export const readMetrics = async (file: string): Promise<Map<string, number>> => new Map((await readRows(file)).map(({ metric, value }) => [metric, value]));

/** One metric by step, in the order of the file; a row without a step counts as one after the row before. */
export async function readCurve(file: string, name: string): Promise<{ step: number; value: number }[]> {
  const curve: { step: number; value: number }[] = [];
  for (const { metric, value, step } of await readRows(file)) if (metric === name) curve.push({ step: step ?? (curve.at(-1)?.step ?? 0) + 1, value });
  return curve;
}

async function readRows(file: string): Promise<MetricLine[]> {
  const lines = (await readFile(file, 'utf8')).split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
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
    const step = 'step' in row && typeof row.step === 'number' ? { step: row.step } : {};
    return [{ metric, value: value === null ? NaN : Number(value), ...step }];
  });
}
