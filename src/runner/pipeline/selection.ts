/** What stands in the brackets of `train[size=d32l2,*]`: shared by references in files and targets on the command line. */
import type { Json } from '../json.ts';
import { formatAxisValue } from './cell-id.ts';
import { sameValue } from './values.ts';

export interface SelectionTerm {
  /** Null for a bare value, whose axis is found by its value. */
  readonly axis: string | null;
  /** As written; quoted values are unquoted in `value`. */
  readonly text: string;
  /** The value when it was written as JSON (quoted, a number, a list …), else the bare text. */
  readonly value: Json;
  readonly bare: boolean;
}

export interface Selection {
  readonly terms: readonly SelectionTerm[];
  /** `*`: every cell that fits. */
  readonly all: boolean;
}

/** The text between the brackets. Gives what is wrong as a text. */
export function parseSelection(inside: string): Selection | string {
  const terms: SelectionTerm[] = [];
  let all = false;
  const parts = splitTerms(inside);
  if (parts === null) return `the brackets hold an unfinished text: [${inside}]`;
  for (const part of parts) {
    const text = part.trim();
    if (text === '*') {
      all = true;
      continue;
    }
    if (text === '') return 'the brackets hold an empty place: write axis=value, or * for all';
    const match = /^([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.+)$/s.exec(text);
    const written = match ? match[2]! : text;
    const value = readTermValue(written);
    if (value === undefined) return `\`${written}\` is neither a bare word nor JSON`;
    const axis = match ? match[1]! : null;
    if (axis !== null && terms.some(term => term.axis === axis)) return `the axis ${axis} is named twice`;
    terms.push({ axis, text: written, value, bare: !/^["{[]/.test(written) });
  }
  return { terms, all };
}

function readTermValue(written: string): Json | undefined {
  if (!/^["{[]/.test(written)) return /^(\$\{[^}]*\}|[^\s"{}[\],=]+)$/.test(written) ? written : undefined;
  try {
    return JSON.parse(written) as Json;
  } catch {
    return undefined; // said by the caller, who knows the place
  }
}

/** Splits at commas outside of quotes and brackets; null when one stays open. */
function splitTerms(inside: string): string[] | null {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let i = 0; i < inside.length; i++) {
    const c = inside[i]!;
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') depth--;
    else if (c === ',' && depth === 0) {
      parts.push(inside.slice(start, i));
      start = i + 1;
    }
  }
  if (quoted || depth !== 0) return null;
  parts.push(inside.slice(start));
  return parts;
}

/** Whether an axis value is the one that a term means: `1e9`, `1000000000` and `1E9` are one number. */
export function termMatches(term: Pick<SelectionTerm, 'value' | 'bare'>, value: Json): boolean {
  if (sameValue(term.value, value)) return true;
  if (!term.bare || typeof term.value !== 'string') return false;
  if (formatAxisValue(value) === term.value) return true;
  return typeof value === 'number' && /^[-+]?[\d.]/.test(term.value) && Number(term.value) === value;
}
