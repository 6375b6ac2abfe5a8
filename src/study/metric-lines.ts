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
