/** `stage.output`, `stage[size=d32l2].output`, `stage[*].output`: what an input names. */
import { parseSelection } from './selection.ts';
import type { Selection } from './selection.ts';

export interface Reference {
  /** `train`, or `scaling/train`. */
  readonly stage: string;
  readonly selection: Selection | null;
  readonly output: string;
  readonly text: string;
}

/** Paths in `in:` begin with `./`, `../` or `/`. */
export function isPathText(text: string): boolean {
  return /^(\.{0,2}\/|\.{1,2}$)/.test(text);
}

export const referenceForm = 'write stage.output, stage[axis=value].output or stage[*].output, or a path that begins with ./';

/** Parses a reference, or says what is wrong with it. */
export function parseReference(text: string): Reference | string {
  const head = /^([A-Za-z_][A-Za-z0-9_-]*(?:\/[A-Za-z_][A-Za-z0-9_-]*){0,2})/.exec(text);
  if (!head) return `\`${text}\` is no reference`;
  let rest = text.slice(head[0].length);
  let selection: Selection | null = null;
  if (rest.startsWith('[')) {
    const end = rest.lastIndexOf(']');
    if (end < 0) return `\`${text}\` lacks a closing bracket`;
    const parsed = parseSelection(rest.slice(1, end));
    if (typeof parsed === 'string') return parsed;
    const bare = parsed.terms.find(term => term.axis === null);
    if (bare) return `\`${bare.text}\` needs its axis: write axis=${bare.text}`;
    selection = parsed;
    rest = rest.slice(end + 1);
  }
  const output = /^\.([A-Za-z_][A-Za-z0-9_-]*)$/.exec(rest);
  if (!output) {
    return rest === '' ? `\`${text}\` names a stage, but not which of its outputs` : `\`${text}\` is no reference`;
  }
  return { stage: head[1]!, selection, output: output[1]!, text };
}
