/** What a stage writes into the file named by `$PIPE_EVENTS`, checked line by line. */
import type { Json, JsonObject } from '../json.ts';
import type { StageEvent } from './executor.ts';

/** An event, `null` for an empty line, or what is wrong with the line. */
export type ParsedEvent = StageEvent | null | { readonly problem: string };

const longestText = 10_000;

export function parseStageEvent(line: string): ParsedEvent {
  if (line.trim() === '') return null;
  let value: Json;
  try {
    value = JSON.parse(line) as Json;
  } catch {
    return { problem: `not JSON: ${shorten(line)}` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { problem: `not a JSON object: ${shorten(line)}` };
  const event = value as JsonObject;
  if ('metric' in event) return metricEvent(event);
  if ('progress' in event) return progressEvent(event);
  if ('note' in event) {
    return typeof event.note === 'string' ? { note: event.note.slice(0, longestText) } : { problem: `a note is a text: ${shorten(line)}` };
  }
  if ('platform' in event) {
    const facts = event.platform;
    return typeof facts === 'object' && facts !== null && !Array.isArray(facts)
      ? { platform: facts as JsonObject }
      : { problem: `platform is a map: ${shorten(line)}` };
  }
  if ('resumed' in event) {
    return isNumber(event.resumed) ? { resumed: event.resumed } : { problem: `resumed is the number of a step: ${shorten(line)}` };
  }
  if ('error' in event) return typeof event.error === 'string' ? { error: event.error.slice(0, longestText) } : { problem: 'an error is a text' };
  if ('usage' in event) return usageEvent(event);
  return { problem: `no metric, progress, note, platform, resumed or error in it: ${shorten(line)}` };
}

function metricEvent(event: JsonObject): ParsedEvent {
  const { metric, step } = event;
  const value = metricValue(event.value);
  if (typeof metric !== 'string' || metric === '' || metric.length > 200) return { problem: `a metric needs a name: ${shorten(JSON.stringify(event))}` };
  if (value === null) return { problem: `metric ${metric}: the value must be a number, "NaN", "Infinity" or "-Infinity"` };
  if (step === undefined || step === null) return { metric, value };
  return isNumber(step) ? { metric, value, step } : { problem: `metric ${metric}: the step must be a number` };
}

/** JSON has no NaN and no infinities: they are the texts `NaN`, `Infinity`, `-Infinity`. */
function metricValue(value: Json | undefined): number | null {
  if (typeof value === 'number') return value;
  switch (value) {
    case 'NaN': case 'nan': return Number.NaN;
    case 'Infinity': case 'inf': return Number.POSITIVE_INFINITY;
    case '-Infinity': case '-inf': return Number.NEGATIVE_INFINITY;
    default: return null;
  }
}

function progressEvent(event: JsonObject): ParsedEvent {
  if (!isNumber(event.progress)) return { problem: 'progress is a number from 0 to 1' };
  const result: { progress: number; step?: number; total?: number; rate?: number; unit?: string } = { progress: Math.min(1, Math.max(0, event.progress)) };
  if (isNumber(event.step)) result.step = event.step;
  if (isNumber(event.total)) result.total = event.total;
  if (isNumber(event.rate)) result.rate = event.rate;
  if (typeof event.unit === 'string') result.unit = event.unit.slice(0, 50);
  return result;
}

function usageEvent(event: JsonObject): ParsedEvent {
  const usage = event.usage as JsonObject | null;
  if (usage === null || typeof usage !== 'object' || !isNumber(usage.cpuSeconds) || !isNumber(usage.peakMemoryBytes)) return { problem: 'usage needs cpuSeconds and peakMemoryBytes' };
  return { usage: { cpuSeconds: usage.cpuSeconds, peakMemoryBytes: usage.peakMemoryBytes } };
}

const isNumber = (value: Json | undefined): value is number => typeof value === 'number' && Number.isFinite(value);

const shorten = (text: string): string => (text.length <= 80 ? text : `${text.slice(0, 77)}...`).replace(/[\u0000-\u001f\u007f]/g, '?');
