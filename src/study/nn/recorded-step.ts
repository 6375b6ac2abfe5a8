import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompiledStep, FeedShape, StepFunction, StepOptions } from './compiled-step.ts';
import { checkFeeds, checkState, stateEntry } from './compiled-step.ts';
import { attribute, savedModel } from './graph-def.ts';
import { GraphBuilder, GraphTensor, graphTensor } from './graph-builder.ts';
import type { StepState, Tensor, Values } from './kernels.ts';
import { graphKernels } from './kernels-graph.ts';
import type { TensorFlowBinding } from './tensorflow-binding.ts';

const T = attribute.type('float32');

/**
 * A step written down once as a TensorFlow graph and run as one call since. State lives in the graph's session; only feeds
 * go in and only outputs come out.
 */
export function recordedStep(
  binding: TensorFlowBinding,
  run: StepFunction,
  feeds: Readonly<Record<string, FeedShape>>,
  { state }: StepOptions,
): CompiledStep {
  const { nodes, outputs, entries } = record(run, feeds, state);
  // The C library loads graphs from a folder only; it has read it when the call returns.
  const folder = mkdtempSync(join(tmpdir(), 'pipe-step-'));
  let session: number;
  try {
    writeFileSync(join(folder, 'saved_model.pb'), savedModel(nodes));
    session = binding.loadSavedModel(folder, 'serve');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  const upload = (values: Values, shape: readonly number[]): number =>
    binding.createTensor([...shape], values instanceof Int32Array ? binding.TF_INT32 : binding.TF_FLOAT, values);
  const execute = (inputs: readonly number[], names: readonly string[], fetch: readonly string[]): Float32Array[] => {
    try {
      if (fetch.length === 0) return [];
      return binding.runSavedModel(session, [...inputs], names.join(','), fetch.join(',')).map(({ id }) => {
        // The binding's array is a view of memory that goes with the tensor.
        const values = Float32Array.from(binding.tensorDataSync(id) as Float32Array);
        binding.deleteTensor(id);
        return values;
      });
    } finally {
      for (const id of inputs) binding.deleteTensor(id);
    }
  };

  const push = (values: ReadonlyMap<string, Float32Array>): void => {
    const names = [...values.keys()];
    for (const name of names) checkState(stateEntry(state, name).shape, values.get(name)!, name);
    const index = (name: string): number => entries.indexOf(name);
    const inputs = names.map((name) => upload(values.get(name)!, state.get(name)!.shape));
    execute(inputs, names.map((name) => `init${index(name)}:0`), names.map((name) => `pushed${index(name)}:0`));
  };
  push(new Map([...state].map(([name, { values }]) => [name, values])));

  const feedNames = Object.keys(feeds);
  const outputNames = Object.keys(outputs);
  return {
    call(given) {
      checkFeeds(feeds, given);
      const inputs = feedNames.map((name) => upload(given[name]!, feeds[name]!.shape));
      const results = execute(inputs, feedNames.map((name) => `feed_${name}:0`), outputNames.map((name) => `out_${name}:0`));
      return Object.fromEntries(outputNames.map((name, index) => [name, results[index]!]));
    },
    push,
    pull() {
      const results = execute([], [], entries.map((_, index) => `get${index}:0`));
      return new Map(entries.map((name, index) => [name, results[index]!]));
    },
    dispose() {
      binding.deleteSavedModel(session);
    },
  };
}

let recordings = 0;

/** Runs the step on a graph builder: what comes out are nodes. */
function record(
  run: StepFunction,
  feeds: Readonly<Record<string, FeedShape>>,
  state: StepOptions['state'],
): { nodes: readonly Buffer[]; outputs: Readonly<Record<string, Tensor>>; entries: readonly string[] } {
  const graph = new GraphBuilder();
  const kernels = graphKernels(graph);
  const prefix = `pipe${process.pid}_${recordings++}_`;
  const entries = [...state.keys()];
  const handles = new Map<string, string>();
  const reads = new Map<string, GraphTensor>();
  const changed = new Set<string>();
  entries.forEach((name, index) => {
    const { shape } = state.get(name)!;
    const about = { dtype: T, shape: attribute.shape(shape) };
    handles.set(name, graph.add(`variable${index}`, 'VarHandleOp', [], { ...about, shared_name: attribute.text(`${prefix}${index}`) }));
    graph.add(`init${index}`, 'Placeholder', [], about);
    graph.add(`set${index}`, 'AssignVariableOp', [`variable${index}`, `init${index}`], { dtype: T });
    const done = { dtype: attribute.type('int32'), value: attribute.tensor('int32', [], Int32Array.of(0)) };
    graph.add(`pushed${index}`, 'Const', [`^set${index}`], done);
    graph.add(`get${index}`, 'ReadVariableOp', [`variable${index}`], { dtype: T });
  });
  const tensors: Record<string, Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(feeds)) {
    const about = { dtype: attribute.type(dtype), shape: attribute.shape(shape) };
    tensors[name] = new GraphTensor(graph.add(`feed_${name}`, 'Placeholder', [], about), 'Placeholder', shape, dtype);
  }

  const updates: string[] = [];
  const access: StepState = {
    read(name) {
      const { shape } = stateEntry(state, name);
      if (changed.has(name)) throw new TypeError(`the step reads "${name}" after updating it`);
      let read = reads.get(name);
      if (read === undefined) {
        read = graph.operation('ReadVariableOp', [handles.get(name)!], { dtype: T }, shape);
        reads.set(name, read);
      }
      return read;
    },
    adamW({ parameter, first, second }, gradient, { learningRate, beta1Power, beta2Power }, constants) {
      const { beta1, beta2, epsilon, weightDecay, maximum } = constants;
      const scalar = (value: number): GraphTensor => graph.constant(Float32Array.of(value), []);
      const handle = (name: string): string => {
        stateEntry(state, name);
        changed.add(name);
        return handles.get(name)!;
      };
      const before = graphTensor(access.read(parameter));
      const variable = handle(parameter);
      // The update may overwrite the variable in place, so it waits until the step's own copy is taken.
      let waits = `^${before.reference}`;
      if (weightDecay > 0) {
        const loss = kernels.multiply(before, kernels.multiply(learningRate, scalar(weightDecay)));
        waits = `^${graph.operation('AssignSubVariableOp', [variable, loss], { dtype: T }, []).reference}`;
      }
      // TensorFlow adds epsilon before the bias correction ("epsilon hat", Kingma and Ba, 2015, section 2).
      const epsilonHat = kernels.multiply(kernels.sqrt(kernels.subtract(scalar(1), beta2Power)), scalar(epsilon));
      const update = graph.operation(
        'ResourceApplyAdam',
        [
          variable,
          handle(first),
          handle(second),
          beta1Power,
          beta2Power,
          learningRate,
          scalar(beta1),
          scalar(beta2),
          epsilonHat,
          gradient,
          waits,
        ],
        { T },
        [],
      );
      updates.push(`^${update.reference}`);
      if (maximum !== undefined) {
        const after = graph.operation('ReadVariableOp', [variable, `^${update.reference}`], { dtype: T }, before.shape);
        const bounded = kernels.minimum(after, maximum);
        updates.push(`^${graph.operation('AssignVariableOp', [variable, bounded], { dtype: T }, []).reference}`);
      }
    },
  };
  const outputs = run(kernels, tensors, access);
  for (const [name, output] of Object.entries(outputs)) {
    graph.add(`out_${name}`, 'Identity', [graphTensor(output).reference, ...updates], { T: attribute.type(graphTensor(output).dtype) });
  }
  return { nodes: graph.nodes, outputs, entries };
}
