/** What adapters add to a frozen base: their weights, and their part of the forward pass. */
import type { Adapter } from './adapter-config.ts';
import type { Tensor } from './kernels.ts';
import { add, dense, gatherRows, quickGelu } from './layers.ts';
import type { ModelConfig } from './model-config.ts';
import type { Parameter } from './parameters.ts';
import { columns, rectified, scaled, scaledRows, softmaxRows, times } from './adapter-layers.ts';
import type { Tape } from './tape.ts';

type Tower = 'image' | 'text';
type Place = 'attention' | 'mlp';

const placesOf = ({ kind }: Adapter): readonly Place[] => (kind === 'houlsby' ? ['attention', 'mlp'] : kind === 'pfeiffer' ? ['mlp'] : []);
const expertsOf = ({ experts }: Adapter): readonly string[] => experts ?? ['all'];

/** Whether a weight of the base is trained beside the adapters. */
export function trainedOfBase({ kind }: Adapter, name: string): boolean {
  if (kind === 'projections') return name === 'image.projection' || name === 'text.projection';
  return kind === 'houlsby' && /\.block\d+\.(attention|mlp)\.norm\./.test(name);
}

/**
 * The weights of the adapters. Each begins as no change: W_up and LoRA's B are zero. With fusion the adapters themselves are frozen,
 * since they have been trained before, and the attention over them is what is trained.
 */
export function adapterParameters(config: ModelConfig): readonly Parameter[] {
  const { adapter, embedding } = config;
  if (adapter === undefined || adapter.kind === 'projections') return [];
  const normal = (deviation: number) => ({ kind: 'normal', deviation }) as const;
  const zero = { kind: 'constant', value: 0 } as const;
  const make = (name: string, shape: readonly number[], initial: Parameter['initial'], frozen = false): Parameter => ({
    name, shape, initial, decay: shape.length > 1, part: 'adapters', ...(frozen ? { frozen } : {}),
  });
  if (adapter.kind === 'clip-adapter') {
    const inner = Math.max(1, Math.floor(embedding / adapter.reduction));
    return [
      make('image.adapter.down.weight', [embedding, inner], normal(embedding ** -0.5)),
      make('image.adapter.up.weight', [inner, embedding], normal(inner ** -0.5)),
    ];
  }
  return (['image', 'text'] as const).flatMap((tower) => {
    const { width, layers } = config[tower];
    return Array.from({ length: layers }, (_, layer) => `${tower}.block${layer}`).flatMap((block) => {
      if (adapter.kind === 'lora') {
        return ['query', 'value'].flatMap((what) => [
          make(`${block}.lora.${what}.a`, [width, adapter.rank], normal(width ** -0.5)),
          make(`${block}.lora.${what}.b`, [adapter.rank, width], zero),
        ]);
      }
      return placesOf(adapter).flatMap((place) => {
        const at = `${block}.${place}.adapter`;
        const frozen = adapter.routing === 'fusion';
        const experts = expertsOf(adapter).flatMap((expert) => [
          make(`${at}.${expert}.down.weight`, [width, adapter.size], normal(width ** -0.5), frozen),
          make(`${at}.${expert}.down.bias`, [adapter.size], zero, frozen),
          make(`${at}.${expert}.up.weight`, [adapter.size, width], zero, frozen),
          make(`${at}.${expert}.up.bias`, [width], zero, frozen),
        ]);
        if (adapter.routing === 'soft') return [...experts, make(`${at}.gate.weight`, [width, expertsOf(adapter).length], zero)];
        if (!frozen) return experts;
        // AdapterFusion's W_V begins as the identity, so that the mixture begins as the adapters' mean.
        const one = { kind: 'identity' } as const;
        return [...experts, ...['query', 'key'].map((what) => make(`${at}.fusion.${what}`, [width, width], normal(0.02))), make(`${at}.fusion.value`, [width, width], one)];
      });
    });
  });
}

/** Multiply-accumulates that the adapters add for one sequence of `tokens` tokens of a tower. */
export function adapterMacs(config: ModelConfig, tower: Tower, tokens: number): number {
  const { adapter } = config;
  if (adapter === undefined || adapter.kind === 'projections') return 0;
  const { width, layers } = config[tower];
  if (adapter.kind === 'clip-adapter') return tower === 'image' ? 2 * config.embedding * Math.max(1, Math.floor(config.embedding / adapter.reduction)) : 0;
  if (adapter.kind === 'lora') return layers * tokens * 4 * width * adapter.rank;
  const experts = expertsOf(adapter).length;
  const mixing = adapter.routing === 'soft' ? width * experts : adapter.routing === 'fusion' ? width ** 2 * (1 + 2 * experts) : 0;
  return layers * placesOf(adapter).length * tokens * (experts * 2 * width * adapter.size + mixing);
}

/** Where a row's modality decides: one-hot `[batch, experts]`, and how many rows each pair has. */
export interface Route {
  readonly choice: Tensor | undefined;
  readonly batch: number;
  readonly tokens: number;
}

/** A sublayer's output `x [rows, width]` with the adapters of its place, if there are any. */
export function adapted(tape: Tape, part: (suffix: string) => Tensor, config: ModelConfig, place: Place, x: Tensor, route: Route): Tensor {
  const { adapter } = config;
  if (adapter === undefined || !placesOf(adapter).includes(place)) return x;
  const experts = expertsOf(adapter);
  const changes = experts.map((expert) => {
    const of = (suffix: string): Tensor => part(`${place}.adapter.${expert}.${suffix}`);
    const inner = quickGelu(tape, dense(tape, x, of('down.weight'), of('down.bias')));
    return dense(tape, inner, of('up.weight'), of('up.bias'));
  });
  if (experts.length === 1) return add(tape, x, changes[0]!);
  const at = (suffix: string): Tensor => part(`${place}.adapter.${suffix}`);
  if (adapter.routing === 'fusion') {
    const outputs = changes.map((change) => add(tape, x, change));
    const query = dense(tape, x, at('fusion.query'));
    const scores = outputs.map((output) => times(tape, query, dense(tape, output, at('fusion.key'))));
    const shares = softmaxRows(tape, scores);
    return outputs.map((output, m) => scaledRows(tape, dense(tape, output, at('fusion.value')), columns(tape, shares, m, 1))).reduce((sum, one) => add(tape, sum, one));
  }
  const shares = adapter.routing === 'soft' ? softmaxRows(tape, [dense(tape, x, at('gate.weight'))]) : byRow(tape, route);
  return changes.map((change, m) => scaledRows(tape, change, columns(tape, shares, m, 1))).reduce((sum, one) => add(tape, sum, one), x);
}

/** Each pair's choice for each of its rows. */
function byRow(tape: Tape, { choice, batch, tokens }: Route): Tensor {
  if (choice === undefined) throw new TypeError('hard routing needs to be told the modality of each pair');
  const pairs = choice.shape[0]!;
  const each = (batch * tokens) / pairs;
  return gatherRows(tape, choice, tape.kernels.constant(Int32Array.from({ length: batch * tokens }, (_, row) => Math.floor(row / each)), [batch * tokens]));
}

/** LoRA's part of packed queries, keys and values `[rows, 3 * width]`, from what they are computed of. */
export function withLora(tape: Tape, part: (suffix: string) => Tensor, config: ModelConfig, x: Tensor, packed: Tensor): Tensor {
  const { adapter } = config;
  if (adapter?.kind !== 'lora') return packed;
  const { kernels } = tape;
  const change = (what: string): Tensor => scaled(tape, dense(tape, dense(tape, x, part(`lora.${what}.a`)), part(`lora.${what}.b`)), 2);
  const [query, value] = [change('query'), change('value')];
  const [rows, width] = query.shape as [number, number];
  const keys = kernels.constant(new Float32Array(rows * width), [rows, width]);
  const all = tape.record([query, value], kernels.concat([query, keys, value], 1), (dy) => [
    kernels.slice(dy, [0, 0], [rows, width]),
    kernels.slice(dy, [0, 2 * width], [rows, width]),
  ]);
  return add(tape, packed, all);
}

/** CLIP-Adapter on the image's embedding before it is brought to unit length. */
export function adaptedEmbedding(tape: Tape, weight: (name: string) => Tensor, config: ModelConfig, x: Tensor): Tensor {
  const { adapter } = config;
  if (adapter?.kind !== 'clip-adapter') return x;
  const inner = rectified(tape, dense(tape, x, weight('image.adapter.down.weight')));
  const own = rectified(tape, dense(tape, inner, weight('image.adapter.up.weight')));
  return add(tape, scaled(tape, own, adapter.ratio), scaled(tape, x, 1 - adapter.ratio));
}
