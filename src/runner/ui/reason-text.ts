/** A typed reason as one line of text. */
import type { Json, JsonObject } from '../json.ts';
import type { CellGraph, Origin, Position } from '../pipeline/model.ts';
import type { Reason } from '../plan/model.ts';
import { formatValue } from './format.ts';
import { shownPath } from './lines.ts';
import { printable } from '../run/log-file.ts';
import { cut } from './width.ts';

export interface ReasonContext {
  readonly graph: CellGraph;
  readonly cwd: string;
  /** Line and column of a setting; null leaves places out, since finding them reads the YAML again. */
  readonly locate: ((origin: Origin) => Position | null) | null;
}

export function reasonText(reason: Reason, context: ReasonContext): string {
  switch (reason.kind) {
    case 'never-run':
      return 'never run with these settings';
    case 'part-changed':
      return `${partName(reason.part)} changed: ${partChange(reason)}${places(reason.origins, context)}`;
    case 'part-added':
      return `${partName(reason.part)} is new: ${valueText(reason.after)}${places(reason.origins, context)}`;
    case 'part-removed':
      return `${partName(reason.part)} is gone: it was ${valueText(reason.before)}`;
    case 'code-changed': {
      const chain = reason.chain.length > 1 ? ` (${reason.chain.join(' → ')})` : '';
      return `code: ${reason.file} ${reason.change}${chain}`;
    }
    case 'package-changed':
      return `package ${reason.name}: ${reason.before ?? 'not there'} → ${reason.after ?? 'not there'}`;
    case 'input-changed':
      return `input ${reason.input}: ${reason.file} ${reason.change}`;
    case 'upstream':
      return `input ${reason.input} comes from ${context.graph.cells[reason.cell]?.id ?? `cell ${reason.cell}`}`;
    case 'output-gone':
      return reason.neededBy === null ? `output ${reason.output} is gone` : `output ${reason.output} is gone, and ${reason.neededBy} needs it`;
    case 'output-damaged':
      return `output ${reason.output} was damaged by hand or disk`;
    case 'failed-before':
      return `failed before (attempt ${reason.attempt}): ${printable(reason.message).split('\n')[0]}`;
    case 'tainted-before':
      return `an input changed while it ran (attempt ${reason.attempt})`;
    case 'forced':
      return 'forced';
    case 'always':
      return 'always runs';
    case 'ignored':
      return `${partName(reason.part)} changed and is left out of the key: ${partChange(reason)}`;
  }
}

/** Manifest parts in the pipeline's own words. */
function partName(part: string): string {
  const known: Readonly<Record<string, string>> = { run: 'the command', code: 'the code', out: 'the declared outputs', uses: 'the stage' };
  return known[part] ?? part;
}

/** A variable of the environment that is null is not set. */
function partChange({ part, before, after }: { readonly part: string; readonly before: Json; readonly after: Json }): string {
  const shown = (value: Json): Json => (value === null && part.startsWith('env.') ? 'not set' : value);
  return changeText(shown(before), shown(after));
}

/** What differs from another result, where a reason says what is stale. */
export function differenceText(reason: Reason, context: ReasonContext): string {
  if (reason.kind !== 'upstream') return reasonText(reason, context);
  return `input ${reason.input}, another result of ${context.graph.cells[reason.cell]?.id ?? `cell ${reason.cell}`}`;
}

const longest = 60;

function valueText(value: Json): string {
  const text = printable(formatValue(value)).replaceAll('\n', '⏎');
  return /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 10) : text;
}

/** `before → after`; of maps only the entries that differ, of long texts only the part around the first difference. */
function changeText(before: Json, after: Json): string {
  if (isMap(before) && isMap(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(name => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
    const own = (map: JsonObject, name: string): Json => map[name] ?? 'none';
    if (names.length === 1 && names[0] !== undefined) return changeText(own(before, names[0]), own(after, names[0]));
    if (names.length > 1) return names.slice(0, 3).map(name => `${name} ${changeText(own(before, name), own(after, name))}`).join(', ') + (names.length > 3 ? ' …' : '');
  }
  const [a, b] = [valueText(before), valueText(after)];
  if (a.length <= longest && b.length <= longest) return `${a} → ${b}`;
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  const from = Math.max(0, same - 12);
  const part = (text: string): string => (from > 0 ? '…' : '') + cut(text.slice(from), longest);
  return `${part(a)} → ${part(b)}`;
}

const isMap = (value: Json): value is JsonObject => value !== null && typeof value === 'object' && !Array.isArray(value);

function places(origins: readonly Origin[], context: ReasonContext): string {
  const texts = origins.flatMap(origin => {
    if (origin.kind === 'command-line') return [origin.text];
    const position = context.locate?.(origin) ?? null;
    return position === null ? [] : [`${shownPath(position.file, context.cwd)}:${position.line}:${position.column}`];
  });
  return texts.length === 0 ? '' : ` (${[...new Set(texts)].join(', ')})`;
}
