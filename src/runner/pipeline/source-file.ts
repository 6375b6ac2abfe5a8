/** One YAML file: its value as plain JSON, and where each node of it was written. */
import { isAlias, isCollection, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node, Pair, ParsedNode } from 'yaml';
import type { Position } from './model.ts';

export interface SourceFile {
  /** Absolute path. */
  readonly file: string;
  readonly text: string;
  readonly document: Document.Parsed;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
}

/** Which part of a node is marked: the key it stands under, its value, or a text inside the value. */
export interface Mark {
  readonly part?: 'key' | 'value';
  /** Text within the value to be marked, for example one template of several. */
  readonly text?: string;
  /** The last place of the text, not the first. */
  readonly last?: boolean;
}

export function parseSource(file: string, text: string): SourceFile {
  // Duplicate keys are found in `source-value.ts`, which is linear and knows both places.
  const document = parseDocument(text, {
    version: '1.2', prettyErrors: false, uniqueKeys: false, keepSourceTokens: false, stringKeys: false,
  });
  // The library's own line counter loses count in files with syntax errors, which is when it is needed.
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return { file, text, document, lineStarts };
}

/** Key of a pair as the text it has in a JSON pointer. */
export function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : '';
}

export function splitPointer(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer.slice(1).split('/').map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A JSON pointer of one more step. */
export function childPointer(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function followAlias(source: SourceFile, node: unknown): unknown {
  return isAlias(node) ? node.resolve(source.document) : node;
}

/** The pair of a map, or of the maps merged into it with `<<`. */
function findPair(source: SourceFile, map: unknown, key: string, depth = 0): Pair | null {
  if (!isMap(map) || depth > 20) return null;
  for (const pair of map.items) if (keyText(pair) === key) return pair;
  for (const pair of map.items) {
    if (keyText(pair) !== '<<') continue;
    const merged = followAlias(source, pair.value);
    for (const one of isSeq(merged) ? merged.items : [merged]) {
      const found = findPair(source, followAlias(source, one), key, depth + 1);
      if (found) return found;
    }
  }
  return null;
}

function rangeOf(node: unknown): [number, number] | null {
  const range = (node as Node | null)?.range;
  return range ? [range[0], range[1]] : null;
}

/**
 * The place of the node that a JSON pointer names, or of its nearest ancestor that exists. A map or list in block style
 * is marked by its key, as a whole block would drown the message.
 */
export function positionOf(source: SourceFile, pointer: string, mark: Mark = {}): Position {
  let node: unknown = source.document.contents as ParsedNode | null;
  let key: unknown = null;
  let exact = true;
  for (const step of splitPointer(pointer)) {
    const container = followAlias(source, node);
    if (isMap(container)) {
      const pair = findPair(source, container, step);
      if (!pair) {
        exact = false;
        break;
      }
      key = pair.key;
      node = pair.value;
    } else if (isSeq(container) && /^\d+$/.test(step) && Number(step) < container.items.length) {
      const item = container.items[Number(step)];
      key = null;
      node = isPair(item) ? item.value : item;
    } else {
      exact = false;
      break;
    }
  }
  const value = rangeOf(node);
  if (exact && mark.text !== undefined && value) {
    const within = source.text.slice(value[0], value[1]);
    const at = mark.last ? within.lastIndexOf(mark.text) : within.indexOf(mark.text);
    if (at >= 0) return spanPosition(source, value[0] + at, value[0] + at + mark.text.length);
  }
  const block = isCollection(node) && !node.flow;
  const keyRange = rangeOf(key);
  if (keyRange && (mark.part === 'key' || block || !value || value[0] === value[1])) return spanPosition(source, ...keyRange);
  if (value && !(block && pointer === '')) return spanPosition(source, ...value);
  return spanPosition(source, value?.[0] ?? 0, (value?.[0] ?? 0) + 1);
}

/** Offsets in the text → a place; what spans several lines is marked to the end of its first. */
export function spanPosition(source: SourceFile, start: number, end: number): Position {
  const from = Math.max(0, Math.min(start, source.text.length));
  let to = Math.max(from, Math.min(end, source.text.length));
  const lineEnd = source.text.indexOf('\n', from);
  if (lineEnd >= 0 && to > lineEnd) to = lineEnd;
  const line = lineOf(source.lineStarts, from);
  const length = Math.max(1, source.text.slice(from, to).replace(/\s+$/, '').length);
  return { file: source.file, line: line + 1, column: from - source.lineStarts[line]! + 1, length };
}

/** Index of the last line that starts at or before the offset. */
function lineOf(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
