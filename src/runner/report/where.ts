/** `--where`: conditions on rows, such as `size=d32l2`, `loss<3`, `seed!=2`, `cell~train`; all must hold. */
import type { Json } from '../json.ts';
import { PipeError } from '../diagnostic.ts';

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~';

export interface Condition {
  readonly column: string;
  readonly operator: Operator;
  readonly value: string;
}

/** Several conditions may stand in one text, with commas or `and` between. Throws PipeError (exit 2). */
export function parseConditions(text: string): Condition[] {
  return text.split(/\s*,\s*|\s+and\s+/).filter(part => part !== '').map(part => {
    const match = /^([\w./-]+?)\s*(!=|<=|>=|==|=|<|>|~)\s*(.*)$/s.exec(part.trim());
    if (match === null) {
      throw new PipeError(`\`${part}\` is no condition`, {
        exitCode: 2, code: 'bad-condition', hint: 'write COLUMN=VALUE, or !=, <, <=, >, >=, or ~ for a part of a text',
      });
    }
    const operator = match[2] === '==' ? '=' : (match[2] as Operator);
    return { column: match[1] ?? '', operator, value: (match[3] ?? '').replaceAll(/^["']|["']$/g, '') };
  });
}

/** Numbers are compared as numbers when both sides are; a missing value satisfies only `!=`. */
export function conditionHolds(condition: Condition, value: Json | undefined): boolean {
  const { operator } = condition;
  if (value === undefined || value === null) return operator === '!=';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (operator === '~') return text.includes(condition.value);
  const [a, b] = [Number(text), Number(condition.value)];
  const numbers = text !== '' && condition.value !== '' && !Number.isNaN(a) && !Number.isNaN(b);
  const order = numbers ? a - b : text < condition.value ? -1 : text > condition.value ? 1 : 0;
  switch (operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}
