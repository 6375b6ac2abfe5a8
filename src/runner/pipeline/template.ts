/** `${…}` in texts: parsing, and filling in from params, the matrix point and the stage. */
import type { Json } from '../json.ts';
import { formatNumber } from './cell-id.ts';
import { closest, suggestion } from './suggest.ts';
import { isList, isMap } from './values.ts';

export interface TemplateExpression {
  readonly root: string;
  readonly path: readonly string[];
  /** As written, with `${` and `}`. */
  readonly text: string;
}

export type TemplatePart = string | TemplateExpression;

/** A mistake in a template: what, which text of the value to mark, and what to write. */
export interface TemplateMistake {
  readonly code: string;
  readonly message: string;
  readonly text: string;
  readonly hint: string | null;
}

export const templateRoots = ['params', 'matrix', 'in', 'out', 'stage'] as const;

export function hasTemplate(text: string): boolean {
  return text.includes('${');
}

/** Splits a text into literals and expressions; `$${` is a literal `${`. */
export function parseTemplate(text: string): { readonly parts: readonly TemplatePart[]; readonly mistakes: readonly TemplateMistake[] } {
  const parts: TemplatePart[] = [];
  const mistakes: TemplateMistake[] = [];
  let literal = '';
  let i = 0;
  while (i < text.length) {
    if (text.startsWith('$${', i)) {
      literal += '${';
      i += 3;
      continue;
    }
    if (!text.startsWith('${', i)) {
      literal += text[i++]!;
      continue;
    }
    const end = text.indexOf('}', i);
    if (end < 0) {
      mistakes.push({ code: 'bad-template', message: 'a template is not closed', text: text.slice(i), hint: 'write } at its end, or $${ for a literal ${' });
      break;
    }
    const written = text.slice(i, end + 1);
    const expression = readExpression(written);
    if ('message' in expression) mistakes.push(expression);
    else {
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(expression);
    }
    i = end + 1;
  }
  if (literal !== '' || parts.length === 0) parts.push(literal);
  return { parts, mistakes };
}

function readExpression(written: string): TemplateExpression | TemplateMistake {
  const inside = written.slice(2, -1).trim();
  const steps = inside.split('.');
  const root = steps[0]!;
  if (!templateRoots.some(known => known === root)) {
    if (/^[A-Z_][A-Z0-9_]*$/.test(root) && steps.length === 1) {
      return {
        code: 'shell-variable', message: `${written} is not the shell's: \${…} is filled in by pipe before a shell sees it`, text: written,
        hint: `write $${root} for the shell's variable, or $${written} to hand \${…} to the shell`,
      };
    }
    const meant = closest(root, templateRoots);
    return {
      code: 'bad-template', message: `a template begins with params, matrix, in, out or stage, not \`${root}\``, text: written,
      hint: meant !== null ? `did you mean \`\${${[meant, ...steps.slice(1)].join('.')}}\`?` : `write $${written} for a literal \${`,
    };
  }
  if (steps.length < 2 && root !== 'params' || !steps.every(step => /^[A-Za-z0-9_-]+$/.test(step))) {
    return {
      code: 'bad-template', message: `${written} must name a value, as in \${${root}.name}`, text: written,
      hint: /[+*/<>=?|: -]/.test(inside) ? 'templates name values; they do not compute: put the sum into params' : null,
    };
  }
  return { root, path: steps.slice(1), text: written };
}

/** Walks into a value; a mistake names the step that is not there. */
export function lookUp(root: Json, expression: TemplateExpression): { readonly value: Json } | TemplateMistake {
  let value = root;
  for (const [index, step] of expression.path.entries()) {
    const so = [expression.root, ...expression.path.slice(0, index)].join('.');
    if (isMap(value) && Object.hasOwn(value, step)) value = value[step]!;
    else if (isList(value) && /^\d+$/.test(step) && Number(step) < value.length) value = value[Number(step)]!;
    else if (isMap(value)) {
      const names = Object.keys(value);
      const unknown = expression.root === 'matrix' && index === 0 ? 'unknown-axis' : 'unknown-param';
      const what = expression.root === 'matrix' && index === 0 ? `this stage has no axis \`${step}\`` : `${so} has no \`${step}\``;
      return { code: unknown, message: what, text: expression.text, hint: suggestion(step, names, 'there are') ?? (unknown === 'unknown-axis' ? 'the stage has no matrix' : 'none are declared under `params:`') };
    } else {
      return { code: 'unknown-param', message: `${so} is ${isList(value) ? `a list of ${value.length}` : 'a single value'}: it has no \`${step}\``, text: expression.text, hint: isList(value) ? 'items have the numbers 0, 1 and so on' : 'leave out what follows it' };
    }
  }
  return { value };
}

/** A value inside a text: numbers as canonical JSON, texts as they are. Null when it has no such form. */
export function formatInText(value: Json): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return JSON.stringify(value);
  if (typeof value === 'boolean') return String(value);
  return null;
}

/** A value inside a selection such as `[size=${params.size}]`: quoted when it has to be. */
export function formatInSelection(value: Json): string {
  if (typeof value === 'string') return /^[A-Za-z0-9._-]+$/.test(value) ? value : JSON.stringify(value);
  return typeof value === 'number' ? formatNumber(value) : JSON.stringify(value);
}
