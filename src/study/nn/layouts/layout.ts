/** How weights are named and laid out elsewhere, and the way there and back. */
import { elements } from '../kernels.ts';
import type { ModelConfig } from '../model-config.ts';
import type { Weights } from '../parameters.ts';
import { parametersOf } from '../parameters.ts';
import type { SafeTensor } from '../safetensors.ts';

export const layoutNames = ['openai', 'huggingface'] as const;
export type LayoutName = (typeof layoutNames)[number];

/** A tensor of a foreign layout. */
export interface ForeignTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Which foreign tensors one of our weights is made of. */
export interface LayoutEntry {
  readonly parameter: string;
  /** Stacked along their first axis; more than one where the other side keeps queries, keys and values apart. */
  readonly parts: readonly ForeignTensor[];
  /** The stack as a matrix `[first axis, all others]` is ours `[in, out]` transposed: PyTorch's linear layers are `[out, in]`. */
  readonly transposed: boolean;
}

/** Weights that are not those of the model they are meant for; each line of `problems` names a tensor. */
export class WeightsError extends Error {
  override readonly name = 'WeightsError';
  readonly exitCode = 1;
  readonly hint: string;

  constructor(message: string, hint: string, problems: readonly string[] = []) {
    const shown = problems.slice(0, 8);
    const rest = problems.length > shown.length ? [`… and ${problems.length - shown.length} more`] : [];
    super([message, ...[...shown, ...rest].map((line) => `  ${line}`)].join('\n'));
    this.hint = hint;
  }
}

export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** `values [rows, columns]` transposed. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  // In tiles: a matrix of megabytes read along one side and written along the other misses every cache line otherwise.
  const tile = 32;
  for (let top = 0; top < rows; top += tile) {
    for (let left = 0; left < columns; left += tile) {
      const [bottom, right] = [Math.min(rows, top + tile), Math.min(columns, left + tile)];
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) result[column * rows + row] = values[row * columns + column]!;
      }
    }
  }
  return result;
}

/** Rows and columns of an entry's parts stacked: the first axis, and all others together. */
function stackShape({ parts }: LayoutEntry): readonly [number, number] {
  const rows = parts.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  return [rows, parts.reduce((sum, { shape }) => sum + elements(shape), 0) / rows];
}

/** Our weights under the names and in the shapes of another layout. */
export function toForeign(entries: readonly LayoutEntry[], weights: Weights): Map<string, SafeTensor> {
  const tensors = new Map<string, SafeTensor>();
  for (const entry of entries) {
    const own = weights.get(entry.parameter);
    if (own === undefined) throw new TypeError(`there is no weight ${entry.parameter}`);
    const [rows, columns] = stackShape(entry);
    const stack = entry.transposed ? transposed(own, columns, rows) : own;
    let from = 0;
    for (const { name, shape } of entry.parts) {
      tensors.set(name, { shape, values: stack.subarray(from, from + elements(shape)) });
      from += elements(shape);
    }
  }
  return tensors;
}

/** Each line names a tensor. */
function layoutProblems(entries: readonly LayoutEntry[], tensors: ReadonlyMap<string, Pick<SafeTensor, 'shape'>>, ignored: RegExp): string[] {
  const parts = entries.flatMap((entry) => entry.parts);
  const used = new Set(parts.map(({ name }) => name));
  const wrong = parts.flatMap(({ name, shape }) => {
    const found = tensors.get(name)?.shape;
    if (found === undefined) return [`${name} is missing`];
    return found.join() === shape.join() ? [] : [`${name} has shape ${shapeText(found)}, the model's is ${shapeText(shape)}`];
  });
  return [...wrong, ...[...tensors.keys()].filter((name) => !used.has(name) && !ignored.test(name)).map((name) => `${name} has no place in the model`)];
}

/** @throws WeightsError naming every tensor that is missing, left over, or has another shape */
export function checkLayout(config: ModelConfig, entries: readonly LayoutEntry[], tensors: ReadonlyMap<string, Pick<SafeTensor, 'shape'>>, ignored: RegExp): void {
  const problems = layoutProblems(entries, tensors, ignored);
  if (problems.length > 0) {
    throw new WeightsError(`the weights do not fit the model ${config.name}:`, 'pipe weights info FILE shows the shapes that a file holds', problems);
  }
}

/**
 * Our weights out of those of another layout.
 * @param ignored names of the other layout that hold nothing we need, such as lists of positions
 * @throws WeightsError as checkLayout does
 */
export function fromForeign(
  config: ModelConfig,
  entries: readonly LayoutEntry[],
  tensors: ReadonlyMap<string, SafeTensor>,
  ignored: RegExp,
): Map<string, Float32Array> {
  checkLayout(config, entries, tensors, ignored);
  const weights = new Map<string, Float32Array>();
  for (const entry of entries) {
    const [rows, columns] = stackShape(entry);
    const stack = new Float32Array(rows * columns);
    let from = 0;
    for (const { name, shape } of entry.parts) {
      stack.set(tensors.get(name)!.values, from);
      from += elements(shape);
    }
    weights.set(entry.parameter, entry.transposed ? transposed(stack, rows, columns) : stack);
  }
  for (const { name } of parametersOf(config)) if (!weights.has(name)) throw new TypeError(`the layout has no entry for ${name}`);
  return weights;
}

/** Layouts name both towers' weights apart, so that only models without shared ones have a place there. */
export function refuseSharing(config: ModelConfig, layout: LayoutName): void {
  if (config.text.attention !== undefined || config.text.positions !== undefined) {
    const what = config.text.attention === undefined ? 'rotary positions' : `${config.text.attention.kind} attention`;
    throw new WeightsError(`a text tower with ${what} cannot be written in the layout ${layout}, whose readers expect CLIP's`, 'export a model of masking: full');
  }
  if ((config.sharing ?? 'dual') === 'dual') return;
  throw new WeightsError(`towers that share weights (sharing: ${config.sharing}) cannot be written in the layout ${layout}`, 'export a model of sharing: dual');
}
