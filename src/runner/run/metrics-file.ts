/** Outputs of kind `metrics`: JSON Lines of `{ metric, value, step? }`. */
import { readFileSync } from 'node:fs';
import { parseStageEvent } from './stage-events.ts';

export interface MetricLine {
  readonly name: string;
  readonly value: number;
  readonly step: number | null;
}

/** Throws an Error that names the line when one is not a metric. */
export function readMetricsFile(file: string): MetricLine[] {
  const rows: MetricLine[] = [];
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const event = parseStageEvent(line);
    if (event === null) continue;
    if ('problem' in event) throw new Error(`line ${index + 1}: ${event.problem}`);
    if (!('metric' in event)) throw new Error(`line ${index + 1}: a metrics file holds lines of {"metric": name, "value": number, "step": number}`);
    rows.push({ name: event.metric, value: event.value, step: event.step ?? null });
  }
  return rows;
}
