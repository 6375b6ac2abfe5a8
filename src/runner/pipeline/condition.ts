/** `when: ${params.source} == roco and not ${params.small}`: comparisons, `and`, `or`, `not`, `in`. */
import type { Json } from '../json.ts';
import { parseTemplate } from './template.ts';
import type { TemplateExpression, TemplateMistake } from './template.ts';
import { isList, sameValue } from './values.ts';

type Token =
  | { readonly kind: 'value'; readonly value: Json; readonly text: string }
  | { readonly kind: 'template'; readonly expression: TemplateExpression; readonly text: string }
  | { readonly kind: 'symbol'; readonly text: string };

type Fill = (expression: TemplateExpression) => Json;

class ConditionError extends Error {
  readonly mistake: TemplateMistake;

  constructor(message: string, text: string, hint: string | null = null) {
    super(message);
    this.mistake = { code: 'bad-condition', message, text, hint };
  }
}

/** Whether the condition holds; `fill` gives the values of templates and may throw mistakes of its own. */
export function evaluateCondition(text: string, fill: Fill): boolean | TemplateMistake {
  try {
    const parser = new ConditionParser(tokenize(text), fill, text);
    return parser.whole();
  } catch (error) {
    if (error instanceof ConditionError) return error.mistake;
    throw error;
  }
}

const words: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in']);

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\s*(?:(\$\{[^}]*\})|("(?:[^"\\]|\\.)*")|'([^']*)'|(==|!=|<=|>=|<|>|\(|\)|\[|\]|,)|([^\s()[\],=!<>"']+)|(\S))/gy;
  while (pattern.lastIndex < text.trimEnd().length) {
    const match = pattern.exec(text);
    if (!match) break;
    const [, template, double, single, symbol, word, other] = match;
    if (template !== undefined) {
      const { parts, mistakes } = parseTemplate(template);
      const expression = parts[0];
      if (mistakes[0]) throw new ConditionError(mistakes[0].message, template, mistakes[0].hint);
      if (typeof expression === 'object') tokens.push({ kind: 'template', expression, text: template });
    } else if (double !== undefined) tokens.push({ kind: 'value', value: JSON.parse(double) as Json, text: double });
    else if (single !== undefined) tokens.push({ kind: 'value', value: single, text: `'${single}'` });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol });
    else if (word !== undefined) tokens.push(words.has(word) ? { kind: 'symbol', text: word } : { kind: 'value', value: readWord(word), text: word });
    else throw new ConditionError(`\`${other}\` is not understood in a condition`, other!, 'conditions know == != < <= > >= in and or not ( ) [ ]');
  }
  return tokens;
}

function readWord(word: string): Json {
  if (word === 'true') return true;
  if (word === 'false') return false;
  if (word === 'null') return null;
  return /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(word) ? Number(word) : word;
}

class ConditionParser {
  readonly #tokens: readonly Token[];
  readonly #fill: Fill;
  readonly #text: string;
  #at = 0;

  constructor(tokens: readonly Token[], fill: Fill, text: string) {
    this.#tokens = tokens;
    this.#fill = fill;
    this.#text = text;
  }

  whole(): boolean {
    const value = this.#or();
    const rest = this.#tokens[this.#at];
    if (rest) throw new ConditionError(`\`${rest.text}\` is one too many in this condition`, rest.text, rest.text === '=' ? 'equality is ==' : 'a text of several words needs quotes');
    return this.#truth(value);
  }

  #or(): Json {
    let left = this.#and();
    while (this.#take('or')) {
      const right = this.#and(); // both sides are read, so that mistakes on the right are always found
      left = this.#truth(left) || this.#truth(right);
    }
    return left;
  }

  #and(): Json {
    let left = this.#not();
    while (this.#take('and')) {
      const right = this.#not();
      const both = [this.#truth(left), this.#truth(right)];
      left = both[0]! && both[1]!;
    }
    return left;
  }

  #not(): Json {
    return this.#take('not') ? !this.#truth(this.#not()) : this.#comparison();
  }

  #comparison(): Json {
    const left = this.#operand();
    const operator = this.#tokens[this.#at];
    if (operator?.kind !== 'symbol') return left;
    if (this.#take('in')) return this.#contains(left, this.#operand(), operator.text);
    if (operator.text === 'not' && this.#tokens[this.#at + 1]?.text === 'in') {
      this.#at += 2;
      return !this.#contains(left, this.#operand(), 'in');
    }
    if (!/^(==|!=|<=|>=|<|>)$/.test(operator.text)) return left;
    this.#at++;
    return this.#compare(operator.text, left, this.#operand());
  }

  #compare(operator: string, left: Json, right: Json): boolean {
    if (operator === '==') return sameValue(left, right);
    if (operator === '!=') return !sameValue(left, right);
    const comparable = (typeof left === 'number' && typeof right === 'number') || (typeof left === 'string' && typeof right === 'string');
    if (!comparable) throw new ConditionError(`\`${operator}\` compares two numbers or two texts, not ${JSON.stringify(left)} and ${JSON.stringify(right)}`, this.#text);
    const [a, b] = [left as number, right as number];
    return operator === '<' ? a < b : operator === '<=' ? a <= b : operator === '>' ? a > b : a >= b;
  }

  #contains(item: Json, list: Json, text: string): boolean {
    if (isList(list)) return list.some(value => sameValue(value, item));
    if (typeof list === 'string' && typeof item === 'string') return list.includes(item);
    throw new ConditionError('`in` needs a list on its right', text, 'write x in [a, b], or x in ${params.list}');
  }

  #operand(): Json {
    const token = this.#tokens[this.#at++];
    if (!token) throw new ConditionError('the condition ends too early', this.#text, 'for example: ${params.source} == roco');
    if (token.kind === 'value') return token.value;
    if (token.kind === 'template') return this.#fill(token.expression);
    if (token.text === '(') {
      const value = this.#or();
      this.#expect(')');
      return value;
    }
    if (token.text === '[') {
      const items: Json[] = [];
      while (!this.#take(']')) {
        items.push(this.#operand());
        if (!this.#take(',')) {
          this.#expect(']');
          break;
        }
      }
      return items;
    }
    throw new ConditionError(`\`${token.text}\` stands where a value should`, token.text);
  }

  #truth(value: Json): boolean {
    if (typeof value === 'boolean') return value;
    throw new ConditionError(`a condition must be true or false, not ${JSON.stringify(value)}`, this.#text, 'compare it: ${params.source} == roco');
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'symbol' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new ConditionError(`\`${text}\` is missing in this condition`, this.#text);
  }
}
