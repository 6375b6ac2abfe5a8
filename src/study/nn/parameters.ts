import { createHash } from 'node:crypto';
import { randomOf } from '../data/random.ts';
import { adapterParameters, trainedOfBase } from './adapters.ts';
import type { DecoderKind } from './decoder-config.ts';
import { elements } from './kernels.ts';
import type { ModelConfig, Sharing } from './model-config.ts';
import { patchCount } from './model-config.ts';
import { resNetParameters } from './resnet.ts';

export type Initial =
  | { readonly kind: 'normal'; readonly deviation: number }
  | { readonly kind: 'constant'; readonly value: number }
  /** Ones on the diagonal of a square matrix. */
  | { readonly kind: 'identity' };

/** One weight. The list of these is the only place that knows names, shapes and starting values. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Initial;
  /** Weight decay is for matrices only: not for biases, norms, embeddings, positions and the logit scale. */
  readonly decay: boolean;
  /** Part of the model that tables count it under. */
  readonly part: 'image tower' | 'text tower' | 'shared blocks' | 'token embedding' | 'projection' | 'adapters' | 'decoder' | 'logit scale';
  /** True: it stays as it is. */
  readonly frozen?: boolean;
  /** True: noted while training, such as the means of batches; no parameter to be counted. */
  readonly kept?: boolean;
}

const normal = (deviation: number): Initial => ({ kind: 'normal', deviation });
const constant = (value: number): Initial => ({ kind: 'constant', value });

/** Which weights of a tower are shared, by the end of their names (`block0.attention.in.weight`, `after.gain`). */
const shares: Readonly<Record<Sharing, RegExp>> = {
  dual: /^$/,
  blocks: /^block\d+\.(attention|mlp)\.(in|out)\./,
  all: /^(block\d+|after)\./,
  attention: /^block\d+\.attention\./,
};

/** The full name of a tower's weight: the tower's own, or `shared.…` where both towers use one. */
export const towerWeight = ({ sharing = 'dual' }: ModelConfig, tower: 'image' | 'text', suffix: string): string =>
  `${shares[sharing].test(suffix) ? 'shared' : tower}.${suffix}`;

/**
 * Every weight of a CLIP, each once. Matrices are `[in, out]`. Starting values are CLIP's (Radford et al., 2021, released
 * code): token embedding σ 0.02, positions σ 0.01, attention in-projection width^-0.5, out-projections
 * width^-0.5 · (2 · layers)^-0.5, first MLP matrix (2 · width)^-0.5, projections width^-0.5, logit scale ln(1/0.07).
 */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const { adapter, decoder } = config;
  if (decoder !== undefined) return decoderParameters(config, decoder.kind);
  if (adapter === undefined) return baseParameters(config);
  const base = baseParameters(config).map((parameter) => (trainedOfBase(adapter, parameter.name) ? parameter : { ...parameter, frozen: true }));
  return [...base, ...adapterParameters(config)];
}

function baseParameters(config: ModelConfig): readonly Parameter[] {
  const { image, text, embedding } = config;
  const modality = config.sharing === 'all';
  return sharedOnce(config, [
    ...(image.resnet === undefined ? vitParameters(config, modality) : resNetParameters(config)),
    positions('text.embedding', [text.vocabulary, text.width], normal(0.02), 'token embedding'),
    ...(text.positions === 'rotary' ? [] : [positions('text.positions', [text.context, text.width], normal(0.01), 'text tower')]),
    ...(modality ? [vector('text.modality', text.width, normal(0.01), 'text tower')] : []),
    ...blocks('text', text.width, text.layers, 'text tower'),
    ...norm('text.after', text.width, 'text tower'),
    matrix('text.projection', [text.width, embedding], text.width ** -0.5, 'projection'),
    { name: 'logit_scale', shape: [], initial: constant(Math.log(1 / 0.07)), decay: false, part: 'logit scale' },
  ]);
}

function vitParameters(config: ModelConfig, modality: boolean): Parameter[] {
  const { image, embedding } = config;
  return [
    {
      name: 'image.patch.weight',
      shape: [3 * image.patch ** 2, image.width],
      // Uniform fan-in scaling of PyTorch's convolution has deviation (3 · fan in)^-0.5.
      initial: normal((9 * image.patch ** 2) ** -0.5),
      decay: true,
      part: 'image tower',
    },
    vector('image.class', image.width, normal(image.width ** -0.5), 'image tower'),
    positions('image.positions', [patchCount(config) + 1, image.width], normal(image.width ** -0.5), 'image tower'),
    ...(modality ? [vector('image.modality', image.width, normal(0.01), 'image tower')] : []),
    ...norm('image.before', image.width, 'image tower'),
    ...blocks('image', image.width, image.layers, 'image tower'),
    ...norm('image.after', image.width, 'image tower'),
    ...(config.auxiliary?.kind === 'mim'
      ? [
          vector('image.hidden', image.width, normal(0.02), 'image tower'),
          matrix('image.reconstruct.weight', [image.width, 3 * image.patch ** 2], image.width ** -0.5, 'image tower'),
          vector('image.reconstruct.bias', 3 * image.patch ** 2, constant(0), 'image tower'),
        ]
      : []),
    matrix('image.projection', [image.width, embedding], image.width ** -0.5, 'projection'),
  ];
}

/** Of the towers what the decoder uses, and what is its own. */
function decoderParameters(config: ModelConfig, kind: DecoderKind): Parameter[] {
  const { image, text } = config;
  const { width, layers } = text;
  const base = baseParameters(config);
  if (kind === 'coca') {
    const cross = Array.from({ length: layers }, (_, layer) => `decoder.block${layer}.cross`).flatMap((name) => [
      ...norm(`${name}.norm`, width, 'decoder'),
      matrix(`${name}.query.weight`, [width, width], width ** -0.5, 'decoder'),
      vector(`${name}.query.bias`, width, constant(0), 'decoder'),
      matrix(`${name}.memory.weight`, [image.width, 2 * width], image.width ** -0.5, 'decoder'),
      vector(`${name}.memory.bias`, 2 * width, constant(0), 'decoder'),
      matrix(`${name}.out.weight`, [width, width], width ** -0.5 * (2 * layers) ** -0.5, 'decoder'),
      vector(`${name}.out.bias`, width, constant(0), 'decoder'),
    ]);
    return [...base, ...blocks('decoder', width, layers, 'decoder'), ...cross, ...norm('decoder.after', width, 'decoder')];
  }
  const caption = base.filter(({ name }) => name.startsWith('text.') && name !== 'text.projection');
  if (kind === 'git') {
    const seen = base.filter(({ name }) => name.startsWith('image.') && name !== 'image.projection');
    return [...seen, ...caption, matrix('decoder.image.weight', [image.width, width], image.width ** -0.5, 'decoder'), vector('decoder.image.bias', width, constant(0), 'decoder')];
  }
  return [
    ...caption,
    { name: 'decoder.patch.weight', shape: [3 * image.patch ** 2, width], initial: normal((9 * image.patch ** 2) ** -0.5), decay: true, part: 'decoder' },
    positions('decoder.patch.positions', [patchCount(config), width], normal(0.01), 'decoder'),
  ];
}

/** Shared weights under their shared name, at their first place. */
function sharedOnce(config: ModelConfig, parameters: readonly Parameter[]): Parameter[] {
  const once = new Map<string, Parameter>();
  for (const parameter of parameters) {
    const [tower, suffix] = [parameter.name.slice(0, parameter.name.indexOf('.')), parameter.name.slice(parameter.name.indexOf('.') + 1)];
    const name = tower === 'image' || tower === 'text' ? towerWeight(config, tower, suffix) : parameter.name;
    if (!once.has(name)) once.set(name, name === parameter.name ? parameter : { ...parameter, name, part: 'shared blocks' });
  }
  return [...once.values()];
}

type Part = Parameter['part'];

function matrix(name: string, shape: readonly number[], deviation: number, part: Part): Parameter {
  return { name, shape, initial: normal(deviation), decay: true, part };
}

function vector(name: string, width: number, initial: Initial, part: Part): Parameter {
  return { name, shape: [width], initial, decay: false, part };
}

function positions(name: string, shape: readonly number[], initial: Initial, part: Part): Parameter {
  return { name, shape, initial, decay: false, part };
}

function norm(name: string, width: number, part: Part): Parameter[] {
  return [vector(`${name}.gain`, width, constant(1), part), vector(`${name}.bias`, width, constant(0), part)];
}

function blocks(tower: string, width: number, layers: number, part: Part): Parameter[] {
  const out = width ** -0.5 * (2 * layers) ** -0.5;
  return Array.from({ length: layers }, (_, layer) => `${tower}.block${layer}`).flatMap((name) => [
    ...norm(`${name}.attention.norm`, width, part),
    matrix(`${name}.attention.in.weight`, [width, 3 * width], width ** -0.5, part),
    vector(`${name}.attention.in.bias`, 3 * width, constant(0), part),
    matrix(`${name}.attention.out.weight`, [width, width], out, part),
    vector(`${name}.attention.out.bias`, width, constant(0), part),
    ...norm(`${name}.mlp.norm`, width, part),
    matrix(`${name}.mlp.in.weight`, [width, 4 * width], (2 * width) ** -0.5, part),
    vector(`${name}.mlp.in.bias`, 4 * width, constant(0), part),
    matrix(`${name}.mlp.out.weight`, [4 * width, width], out, part),
    vector(`${name}.mlp.out.bias`, width, constant(0), part),
  ]);
}

/** Weights by name, in the order of the parameters. */
export type Weights = ReadonlyMap<string, Float32Array>;

/** Starting values. Each weight draws from a stream of its own, so that adding one leaves the others as they were. */
export function initialWeights(parameters: readonly Parameter[], seed: number): Map<string, Float32Array> {
  return new Map(
    parameters.map(({ name, shape, initial }) => {
      const values = new Float32Array(elements(shape));
      if (initial.kind === 'constant') {
        values.fill(initial.value);
      } else if (initial.kind === 'identity') {
        for (let index = 0; index < values.length; index += shape[0]! + 1) values[index] = 1;
      } else {
        const random = randomOf(seed, 'weights', name);
        for (let index = 0; index < values.length; index++) values[index] = random.normal() * initial.deviation;
      }
      return [name, values];
    }),
  );
}

/** SHA-256 over names and values. */
export function digestOfWeights(weights: Weights): string {
  const hash = createHash('sha256');
  for (const [name, values] of weights) hash.update(name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex');
}
