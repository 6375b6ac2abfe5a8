/** The value of a YAML document as plain JSON, with every mistake that YAML itself would let pass. */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import type { Node, Pair, YAMLMap } from 'yaml';
import type { Json } from '../json.ts';
import type { Problems } from './problems.ts';
import { childPointer, keyText, spanPosition } from './source-file.ts';
import type { SourceFile } from './source-file.ts';
import { nulMistake } from './values.ts';

/** More nodes than this through aliases is an anchor bomb, not a pipeline. */
const maxAliasedNodes = 20_000;

/**
 * Reports syntax errors of a file, one a line. What follows the first is mostly its consequence (an open bracket makes
 * every later line wrong), so of the others only those stand that are recognised by themselves.
 */
export function reportSyntax(source: SourceFile, problems: Problems): void {
  const seenLines = new Set<number>();
  for (const issue of [...source.document.errors, ...source.document.warnings].sort((a, b) => a.pos[0] - b.pos[0])) {
    const position = spanPosition(source, issue.pos[0], issue.pos[1]);
    const hint = syntaxHint(source, issue.code, issue.pos[0]);
    if (seenLines.has(position.line) || (seenLines.size > 0 && hint === null)) continue;
    seenLines.add(position.line);
    problems.add({ code: syntaxCode(issue.code), message: firstLower(issue.message), at: position, hint: hint ?? 'look at the brackets, quotes and indentation of this line and of the one before it' });
  }
}

function syntaxCode(code: string): string {
  if (code === 'TAB_AS_INDENT') return 'tab';
  if (code === 'TAG_RESOLVE_FAILED') return 'unknown-tag';
  return 'yaml-syntax';
}

function firstLower(message: string): string {
  return /^[A-Z][a-z]/.test(message) ? message[0]!.toLowerCase() + message.slice(1) : message;
}

function syntaxHint(source: SourceFile, code: string, offset: number): string | null {
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (code === 'MULTIPLE_DOCS') return 'a pipeline file holds one document: remove the `---`';
  if (source.text[offset] === '{' && source.text[offset - 1] === '$') {
    return 'inside { } and [ ] a template needs quotes: "${…}"';
  }
  const line = source.text.slice(source.text.lastIndexOf('\n', offset - 1) + 1, offset);
  if (code === 'TAG_RESOLVE_FAILED') return 'a text that begins with ! needs quotes';
  if (/:.*:\s/.test(line) && code === 'BLOCK_AS_IMPLICIT_KEY') return 'a text that holds `: ` needs quotes';
  return null;
}

/** The plain value; duplicate keys, hidden merges, bombs and numbers that JSON cannot hold are noted. */
export function readValue(source: SourceFile, problems: Problems): Json {
  const reader = new ValueReader(source, problems);
  return reader.read(source.document.contents, '');
}

class ValueReader {
  readonly #source: SourceFile;
  readonly #problems: Problems;
  #aliased = 0;
  #bomb = false;
  #open: Node[] = [];

  constructor(source: SourceFile, problems: Problems) {
    this.#source = source;
    this.#problems = problems;
  }

  read(node: unknown, pointer: string): Json {
    if (node === null || node === undefined) return null;
    if (this.#open.length > 0 && ++this.#aliased > maxAliasedNodes) return null;
    if (isAlias(node)) return this.#alias(node, pointer);
    if (isScalar(node)) return this.#scalar(node.value, node, pointer);
    if (isMap(node)) return this.#map(node, pointer);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, childPointer(pointer, index)));
    return null;
  }

  #alias(node: Node & { source: string }, pointer: string): Json {
    const target = isAlias(node) ? node.resolve(this.#source.document) : undefined;
    if (target === undefined) {
      this.#note('unknown-anchor', `no anchor is called &${node.source}`, node, `write &${node.source} before the value that is meant, or quotes around a text that begins with *`);
      return null;
    }
    if (this.#open.includes(target)) {
      this.#note('anchor-cycle', `*${node.source} stands inside the node that it names`, node, 'a value cannot hold itself: write it out');
      return null;
    }
    this.#open.push(target);
    const value = this.read(target, pointer);
    this.#open.pop();
    if (this.#open.length === 0 && this.#aliased > maxAliasedNodes && !this.#bomb) {
      this.#note('anchor-bomb', `aliases such as *${node.source} unfold to more than ${maxAliasedNodes} nodes`, node, 'name the list once under `params:` and use a template such as ${params.list}');
      this.#bomb = true;
    }
    return value;
  }

  #scalar(value: unknown, node: Node & { source?: string }, pointer: string): Json {
    if (typeof value === 'string' && value.includes('\0')) {
      this.#note(nulMistake.code, nulMistake.message, node, nulMistake.hint);
      return value.replaceAll('\0', '');
    }
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) {
        this.#note('not-finite', `${node.source ?? value} cannot be a param: NaN and infinities have no JSON form`, node, 'write a text, such as "inf", if the stage takes one');
        return 0;
      }
      if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/.test(node.source ?? '') && BigInt(node.source!) !== BigInt(value) && node.source !== String(value)) {
        this.#note('number-precision', `${node.source} cannot be held exactly as a number`, node, 'quote it if it is a name, or write it as 1.2e17');
      }
      return value;
    }
    this.#note('bad-value', `${pointer || 'the file'} has a value that JSON cannot hold`, node, 'quote it, if it is a text');
    return null;
  }

  #map(map: YAMLMap, pointer: string): Json {
    const result: Record<string, Json> = {};
    const declared = new Map<string, Pair>();
    const merges: Pair[] = [];
    for (const pair of map.items) {
      if (!isScalar(pair.key)) {
        this.#note('bad-key', 'a key must be a plain text', (pair.key ?? map) as Node, 'a template or a bracket in the place of a key needs quotes');
        continue;
      }
      const key = keyText(pair);
      if (key.includes('\0')) {
        this.#note(nulMistake.code, nulMistake.message, pair.key, nulMistake.hint);
        continue;
      }
      const first = declared.get(key);
      if (first) {
        this.#problems.add({
          code: 'duplicate-key', message: `the key \`${key}\` is written twice in one map`, at: this.#at(pair.key),
          hint: 'keep one of the two', related: [{ message: 'first written here', at: this.#at(first.key as Node) }],
        });
        continue;
      }
      declared.set(key, pair);
      if (key === '<<') merges.push(pair);
      else define(result, key, this.read(pair.value, childPointer(pointer, key)));
    }
    for (const pair of merges) this.#merge(pair, result, declared, pointer);
    return result;
  }

  #merge(pair: Pair, result: Record<string, Json>, declared: ReadonlyMap<string, Pair>, pointer: string): void {
    const merged = this.read(pair.value, pointer);
    const place = (pair.value ?? pair.key) as Node;
    for (const one of Array.isArray(merged) ? (merged as Json[]) : [merged]) {
      if (one === null || typeof one !== 'object' || Array.isArray(one)) {
        this.#note('bad-merge', '`<<` takes a map or a list of maps', place);
        continue;
      }
      for (const [key, value] of Object.entries(one)) {
        if (!Object.hasOwn(result, key)) {
          define(result, key, value);
          continue;
        }
        const own = declared.get(key);
        this.#problems.add({
          code: 'hidden-merge', message: `\`<<\` brings \`${key}\`, which ${own ? 'is also written here' : 'another merged map brings too'}: one would hide the other`,
          at: this.#at(place), hint: `write \`${key}\` in one place only`,
          related: own ? [{ message: 'also written here', at: this.#at(own.key as Node) }] : [],
        });
      }
    }
  }

  #at(node: Node): ReturnType<typeof spanPosition> {
    const range = node.range ?? [0, 1, 1];
    return spanPosition(this.#source, range[0], range[1]);
  }

  #note(code: string, message: string, node: Node, hint: string | null = null): void {
    this.#problems.add({ code, message, at: this.#at(node), hint });
  }
}

/** Also keys such as `__proto__` become plain own properties. */
function define(target: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
