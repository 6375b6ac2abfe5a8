import { callerLine } from './caller-line.ts';
import type { DataType, Kernels, StepState, Tensor, Values } from './kernels.ts';
import { elements } from './kernels.ts';

/** The shape of what is handed to a step at each call; it never changes. */
export interface FeedShape {
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

export interface StateEntry {
  readonly shape: readonly number[];
  /** Null for zeros, which then take no memory outside of the backend. */
  readonly values: Float32Array | null;
}

/**
 * One step: feeds and state in, named outputs out. It may be run once to be written down as a graph, so it must not look
 * at values, draw random numbers, or branch on anything that changes between calls: feed those instead.
 */
export type StepFunction = (
  kernels: Kernels,
  feeds: Readonly<Record<string, Tensor>>,
  state: StepState,
) => Readonly<Record<string, Tensor>>;

/** What products of matrices are computed in; sums and everything else stay float32. */
export type Precision = 'float32' | 'bfloat16';

export interface StepOptions {
  /** What lives from call to call, by name: weights, moments. */
  readonly state: ReadonlyMap<string, StateEntry>;
  /**
   * Record each function twice and compare: what JavaScript drew or decided anew would be frozen by a graph. On by default;
   * it costs milliseconds.
   */
  readonly verify?: boolean;
  /** Let XLA compile the graph: seconds to minutes at the first call, for fewer passes over memory. Native only; off by default. */
  readonly xla?: boolean;
  /** Native only; `float32` by default. */
  readonly precision?: Precision;
}

/** One of several functions that share state. */
export interface ProgramFunction {
  readonly run: StepFunction;
  readonly feeds: Readonly<Record<string, FeedShape>>;
}

/** Functions over the same state, each one call. */
export interface Program {
  /** Runs a function. Feeds are flat values of the declared shapes; outputs are flat values. */
  call(name: string, feeds: Readonly<Record<string, Values>>): Record<string, Float32Array>;
  /** Replaces state, by zeros where null is given; names left out keep their values. */
  push(values: ReadonlyMap<string, Float32Array | null>): void;
  /** Copies of the state as it is now: of the names given, or all of it. */
  pull(names?: readonly string[]): Map<string, Float32Array>;
  dispose(): void;
}

/** A program of one function. */
export interface CompiledStep extends Omit<Program, 'call'> {
  call(feeds: Readonly<Record<string, Values>>): Record<string, Float32Array>;
}

/** The function of that name; a TypeError if the program has none. */
export function programFunction<T>(functions: Readonly<Record<string, T>>, name: string): T {
  const found = functions[name];
  if (found === undefined) throw new TypeError(`the program has no function "${name}"; it has ${Object.keys(functions).join(', ')}`);
  return found;
}

/** Whether every declared feed is there with the right type and length; a TypeError by name if not. */
export function checkFeeds(declared: Readonly<Record<string, FeedShape>>, given: Readonly<Record<string, Values>>): void {
  for (const [name, { shape, dtype }] of Object.entries(declared)) {
    const values = given[name];
    if (values === undefined) throw new TypeError(`the feed "${name}" is missing`);
    const right = dtype === 'int32' ? values instanceof Int32Array : values instanceof Float32Array;
    if (!right) throw new TypeError(`the feed "${name}" must be ${dtype} values`);
    if (values.length !== elements(shape)) {
      throw new TypeError(
        `the feed "${name}" has ${values.length} values; the step was compiled for [${shape.join(', ')}] (called ${callerLine()})`,
      );
    }
  }
  for (const name of Object.keys(given)) {
    if (!(name in declared)) throw new TypeError(`the step has no feed "${name}"; it has ${Object.keys(declared).join(', ')}`);
  }
}

/** The entry of that name; a TypeError if the step has no such state. */
export function stateEntry<T>(state: ReadonlyMap<string, T>, name: string): T {
  const entry = state.get(name);
  if (entry === undefined) throw new TypeError(`the step has no state "${name}"`);
  return entry;
}

/** Whether new values fit the state they replace; a TypeError by name if not. */
export function checkState(shape: readonly number[], values: Float32Array | null, name: string): void {
  if (values !== null && values.length !== elements(shape)) {
    throw new TypeError(`state "${name}" has shape [${shape.join(', ')}] and cannot take ${values.length} values`);
  }
}
