import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program, ProgramFunction, StepOptions } from './compiled-step.ts';
import { checkFeeds, checkState, programFunction, stateEntry } from './compiled-step.ts';
import { savedModel } from './graph-def.ts';
import type { Values } from './kernels.ts';
import { elements } from './kernels.ts';
import { nodeNames } from './record-program.ts';
import type { TensorFlowBinding } from './tensorflow-binding.ts';
import { verifiedRecording } from './verify-recording.ts';

/**
 * Functions written down once as a TensorFlow graph and run as one call each since. State lives in the graph's session;
 * only feeds go in and only outputs come out.
 */
export function recordedProgram(
  binding: TensorFlowBinding,
  functions: Readonly<Record<string, ProgramFunction>>,
  options: StepOptions,
): Program {
  // The values themselves must not live on here once they are pushed.
  const shapes = new Map([...options.state].map(([name, { shape }]) => [name, shape]));
  const entries = [...shapes.keys()];
  const { nodes, outputs } = verifiedRecording(functions, options);
  const graph = savedModel(nodes.map(({ bytes }) => bytes));
  const key = createHash('sha256').update(graph).digest('hex');
  const session = takeIdle(key) ?? load(binding, graph);
  let disposed = false;

  const uploadTensor = (values: Values, shape: readonly number[]): number =>
    binding.createTensor([...shape], values instanceof Int32Array ? binding.TF_INT32 : binding.TF_FLOAT, values);
  const execute = (inputs: readonly number[], names: readonly string[], fetch: readonly string[]): Float32Array[] => {
    try {
      if (disposed) throw new Error('the step is disposed of');
      if (fetch.length === 0) return [];
      const tensor = (name: string): string => `${name}:0`;
      return binding.runSavedModel(session, [...inputs], names.map(tensor).join(','), fetch.map(tensor).join(',')).map(({ id }) => {
        // The binding's array is a view of memory that goes with the tensor.
        const values = Float32Array.from(binding.tensorDataSync(id) as Float32Array);
        binding.deleteTensor(id);
        return values;
      });
    } finally {
      for (const id of inputs) binding.deleteTensor(id);
    }
  };

  const indices = new Map(entries.map((name, index) => [name, index]));
  const push = (values: ReadonlyMap<string, Float32Array | null>): void => {
    for (const [name, array] of values) checkState(stateEntry(shapes, name), array, name);
    const empty = [...values].flatMap(([name, array]) => (array === null ? [elements(shapes.get(name)!)] : []));
    const zeros = new Float32Array(Math.max(0, ...empty));
    const upload = (name: string): number => {
      const shape = shapes.get(name)!;
      return uploadTensor(values.get(name) ?? zeros.subarray(0, elements(shape)), shape);
    };
    // In one call: TensorFlow prepares a graph anew for each set of inputs and outputs it has not seen, at some 30 ms.
    const names = [...values.keys()];
    execute(
      names.map(upload),
      names.map((name) => nodeNames.initial(indices.get(name)!)),
      names.map((name) => nodeNames.pushed(indices.get(name)!)),
    );
  };
  push(new Map([...options.state].map(([name, { values }]) => [name, values])));

  return {
    call(name, given) {
      const { feeds } = programFunction(functions, name);
      checkFeeds(feeds, given);
      const feedNames = Object.keys(feeds);
      const inputs = feedNames.map((feed) => uploadTensor(given[feed]!, feeds[feed]!.shape));
      const outputNames = outputs[name]!;
      const results = execute(
        inputs,
        feedNames.map((feed) => nodeNames.feed(name, feed)),
        outputNames.map((output) => nodeNames.output(name, output)),
      );
      return Object.fromEntries(outputNames.map((output, index) => [output, results[index]!]));
    },
    push,
    pull(names = entries) {
      for (const name of names) stateEntry(shapes, name);
      const results = execute([], [], names.map((name) => nodeNames.pulled(indices.get(name)!)));
      return new Map(names.map((name, index) => [name, results[index]!]));
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      keepIdle(binding, { key, session });
    },
  };
}

function load(binding: TensorFlowBinding, graph: Buffer): number {
  // The C library loads graphs from a folder only; it has read it when the call returns.
  const folder = mkdtempSync(join(tmpdir(), 'pipe-step-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), graph);
    return binding.loadSavedModel(folder, 'serve');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface IdleSession {
  readonly key: string;
  readonly session: number;
}

/**
 * Sessions that nobody uses, newest last: a step compiled again with the same graph goes on with one, already loaded and
 * optimised. Few, since each holds its variables.
 */
const idle: IdleSession[] = [];
const mostIdle = 2;

function takeIdle(key: string): number | null {
  const index = idle.findIndex((entry) => entry.key === key);
  return index < 0 ? null : idle.splice(index, 1)[0]!.session;
}

function keepIdle(binding: TensorFlowBinding, entry: IdleSession): void {
  idle.push(entry);
  while (idle.length > mostIdle) binding.deleteSavedModel(idle.shift()!.session);
}
