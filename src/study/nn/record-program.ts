import type { ProgramFunction, StepOptions } from './compiled-step.ts';
import { stateEntry } from './compiled-step.ts';
import { attribute } from './graph-def.ts';
import { GraphBuilder, GraphTensor, graphTensor } from './graph-builder.ts';
import type { RecordedNode } from './graph-builder.ts';
import type { AdamConstants, AdamScalars, StepState, Tensor } from './kernels.ts';
import { graphKernels } from './kernels-graph.ts';

const T = attribute.type('float32');

/** A program as nodes of one graph, and what its functions give. */
export interface RecordedProgram {
  readonly nodes: readonly RecordedNode[];
  /** Names of the outputs of each function. */
  readonly outputs: Readonly<Record<string, readonly string[]>>;
}

/** Names of nodes: those that are fed and fetched. */
export const nodeNames = {
  feed: (name: string, feed: string): string => `feed_${name}_${feed}`,
  output: (name: string, output: string): string => `out_${name}_${output}`,
  initial: (index: number): string => `init${index}`,
  pushed: (index: number): string => `pushed${index}`,
  pulled: (index: number): string => `get${index}`,
};

/** Runs each function on a graph builder: what comes out are nodes. State is variables of the graph, shared by all. */
export function recordProgram(
  functions: Readonly<Record<string, ProgramFunction>>,
  { state, xla = false, precision = 'float32' }: StepOptions,
  lines = false,
): RecordedProgram {
  const graph = new GraphBuilder({ lines, xla });
  const handles = new Map<string, string>();
  [...state.keys()].forEach((name, index) => {
    const about = { dtype: T, shape: attribute.shape(state.get(name)!.shape) };
    const variable = `variable${index}`;
    // Resources belong to the session, so that equal names in two sessions are two variables.
    handles.set(name, graph.add(variable, 'VarHandleOp', [], { ...about, shared_name: attribute.text(variable) }));
    graph.add(nodeNames.initial(index), 'Placeholder', [], about);
    graph.add(`set${index}`, 'AssignVariableOp', [variable, nodeNames.initial(index)], { dtype: T });
    const done = { dtype: attribute.type('int32'), value: attribute.tensor('int32', [], Int32Array.of(0)) };
    graph.add(nodeNames.pushed(index), 'Const', [`^set${index}`], done);
    graph.add(nodeNames.pulled(index), 'ReadVariableOp', [variable], { dtype: T });
  });
  const outputs: Record<string, readonly string[]> = {};
  for (const [name, { run, feeds }] of Object.entries(functions)) {
    const kernels = graphKernels(graph, precision);
    const tensors: Record<string, Tensor> = {};
    for (const [feed, { shape, dtype }] of Object.entries(feeds)) {
      const about = { dtype: attribute.type(dtype), shape: attribute.shape(shape) };
      const reference = graph.add(nodeNames.feed(name, feed), 'Placeholder', [], about);
      tensors[feed] = new GraphTensor(reference, 'Placeholder', shape, dtype);
    }
    const access = new GraphState(graph, handles, state);
    const results = run(kernels, tensors, access);
    outputs[name] = Object.keys(results);
    for (const [output, tensor] of Object.entries(results)) {
      const { reference, dtype } = graphTensor(tensor);
      graph.add(nodeNames.output(name, output), 'Identity', [reference, ...access.updates], { T: attribute.type(dtype) });
    }
  }
  return { nodes: graph.nodes, outputs };
}

/** The variables as one function sees them: every read comes before every change of the same name. */
class GraphState implements StepState {
  /** What an output waits for, so that a call ends after its updates. */
  readonly updates: string[] = [];
  readonly #graph: GraphBuilder;
  readonly #handles: ReadonlyMap<string, string>;
  readonly #state: StepOptions['state'];
  readonly #reads = new Map<string, GraphTensor>();
  readonly #changed = new Set<string>();

  constructor(graph: GraphBuilder, handles: ReadonlyMap<string, string>, state: StepOptions['state']) {
    this.#graph = graph;
    this.#handles = handles;
    this.#state = state;
  }

  read(name: string): GraphTensor {
    const { shape } = stateEntry(this.#state, name);
    const known = this.#reads.get(name);
    if (known !== undefined) return known;
    if (this.#changed.has(name)) throw new TypeError(`the step reads "${name}" after updating it`);
    const read = this.#graph.operation('ReadVariableOp', [this.#handles.get(name)!], { dtype: T }, shape);
    this.#reads.set(name, read);
    return read;
  }

  /** The variable for a change, and what the change must wait for. */
  #change(name: string): { variable: string; waits: readonly string[] } {
    stateEntry(this.#state, name);
    if (this.#changed.has(name)) throw new TypeError(`the step updates "${name}" twice`);
    this.#changed.add(name);
    const read = this.#reads.get(name);
    return { variable: this.#handles.get(name)!, waits: read === undefined ? [] : [`^${read.reference}`] };
  }

  #update(operation: string, inputs: readonly (Tensor | string)[], attributes: { dtype: Buffer } | { T: Buffer }): string {
    const { reference } = this.#graph.operation(operation, inputs, attributes, []);
    this.updates.push(`^${reference}`);
    return reference;
  }

  assign(name: string, value: Tensor): void {
    this.#fits(name, value);
    const { variable, waits } = this.#change(name);
    this.#update('AssignVariableOp', [variable, value, ...waits], { dtype: T });
  }

  accumulate(name: string, term: Tensor): void {
    this.#fits(name, term);
    const { variable, waits } = this.#change(name);
    this.#update('AssignAddVariableOp', [variable, term, ...waits], { dtype: T });
  }

  #fits(name: string, value: Tensor): void {
    const { shape } = stateEntry(this.#state, name);
    if (shape.join() !== value.shape.join()) {
      throw new TypeError(`state "${name}" has shape [${shape.join(', ')}] and cannot take [${value.shape.join(', ')}]`);
    }
  }

  adamW(
    { parameter, first, second }: { readonly parameter: string; readonly first: string; readonly second: string },
    gradient: Tensor,
    { learningRate, beta1Power, beta2Power }: AdamScalars,
    { beta1, beta2, epsilon, weightDecay, l2 = 0, maximum }: AdamConstants,
  ): void {
    const graph = this.#graph;
    const kernels = graphKernels(graph);
    const scalar = (value: number): GraphTensor => graph.constant(Float32Array.of(value), []);
    const before = this.read(parameter);
    this.#fits(parameter, gradient);
    const slope = l2 > 0 ? kernels.add(gradient, kernels.scale(before, l2)) : gradient;
    const { variable, waits } = this.#change(parameter);
    // The update may overwrite the variable in place, so it waits until the step's own copy is taken.
    let ready = waits;
    if (weightDecay > 0) {
      // Not before the gradient is there: until the forward and backward pass have let go of it, the variable would be copied.
      const settled = kernels.after(before, gradient);
      const loss = kernels.multiply(settled, kernels.multiply(learningRate, scalar(weightDecay)));
      ready = [`^${graph.operation('AssignSubVariableOp', [variable, loss], { dtype: T }, []).reference}`];
    }
    // TensorFlow adds epsilon before the bias correction ("epsilon hat", Kingma and Ba, 2015, section 2).
    const epsilonHat = kernels.multiply(kernels.sqrt(kernels.subtract(scalar(1), beta2Power)), scalar(epsilon));
    const [mean, square] = [this.#change(first), this.#change(second)];
    const inputs = [variable, mean.variable, square.variable, beta1Power, beta2Power, learningRate, scalar(beta1), scalar(beta2)];
    const update = this.#update('ResourceApplyAdam', [...inputs, epsilonHat, slope, ...ready, ...mean.waits, ...square.waits], { T });
    if (maximum !== undefined) {
      const after = graph.operation('ReadVariableOp', [variable, `^${update}`], { dtype: T }, before.shape);
      this.#update('AssignVariableOp', [variable, kernels.minimum(after, maximum)], { dtype: T });
    }
  }
}
