import type { Adapter } from './adapter-config.ts';
import { guess, ModelConfigError } from './config-error.ts';
import type { Auxiliary } from './auxiliary.ts';
import type { Decoder } from './decoder-config.ts';
import { aliases, presetNames, presets, resnets, type Row } from './model-presets.ts';
import type { ResNetShape } from './resnet.ts';
import { attentionMask, AttentionPatternError, type AttentionPattern, pooledAtStart, reachesAll } from './attention-pattern.ts';

/** A tower's size. The heads share the width equally; the MLP is four times as wide. */
export interface TowerSize {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/**
 * What the two towers have in common. `dual`: nothing. `blocks`: attention and MLP, each tower with norms, embeddings and
 * projections of its own (MS-CLIP; You et al., 2022). `all`: whole blocks and the last norm, told apart by an embedding of the
 * modality. `attention`: attention and its norm, an MLP each (VLMo; Bao et al., 2022).
 */
export const sharings = ['dual', 'blocks', 'all', 'attention'] as const;
export type Sharing = (typeof sharings)[number];

/** Everything that says what a CLIP is; written to `model.json` as it is. */
export interface ModelConfig {
  readonly name: string;
  /** Left out: `dual`. */
  readonly sharing?: Sharing;
  readonly image: TowerSize & {
    readonly resolution: number;
    /** Pixels of a patch's side; of a ResNet those that one place of its last picture stands for. */
    readonly patch: number;
    /** Left out: a ViT. Width is then that of the last stage, layers are bottlenecks, heads those of attention pooling. */
    readonly resnet?: ResNetShape;
  };
  readonly text: TowerSize & {
    readonly context: number;
    readonly vocabulary: number;
    /** Which tokens see which; left out: causal, as in CLIP. */
    readonly attention?: AttentionPattern;
    /** How tokens know their place; left out: by a learned table, as in CLIP. `rotary` turns queries and keys (Su et al., 2021). */
    readonly positions?: 'rotary';
  };
  /** Length of the embeddings that both towers project to. */
  readonly embedding: number;
  /** What logits are multiplied by beside the learned scale; left out: nothing. */
  readonly logitFactor?: number;
  /** Parts that are trained while the rest is frozen; left out: everything is trained. */
  readonly adapter?: Adapter;
  /** What is asked for beside contrast, in training alone. */
  readonly auxiliary?: Auxiliary;
  /** What writes captions, with the towers' sizes; left out: nothing does. */
  readonly decoder?: Decoder;
}

export { ModelConfigError };

/** What goes into a model: constant over the sizes of one sweep. */
export interface ModelInput {
  readonly resolution: number;
  readonly patch: number;
  readonly context: number;
  readonly vocabulary: number;
}

/** What a size such as `d64l3` gets where nobody says more; the input of preset n2. */
export const defaultInput: ModelInput = { resolution: 64, patch: 8, context: 64, vocabulary: 4096 };

/** The most heads of at least `headWidth` that divide `width`; one head if the width is smaller than that. */
function headsOf(width: number, headWidth: number): number {
  let heads = Math.max(1, Math.floor(width / headWidth));
  while (width % heads !== 0) heads--;
  return heads;
}

/** Heads of the width that was asked for, which must divide; else of about the usual one. */
function headsIn(name: string, width: number, asked: number | undefined, usual: number): number {
  if (asked !== undefined && width % asked !== 0) {
    throw new ModelConfigError(`heads of width ${asked} do not share the width ${width} of ${name}`, 'choose a headWidth that divides it');
  }
  return headsOf(width, asked ?? usual);
}

export interface SizeOptions {
  /** Replaces what a size gets by default; with a preset, every part given here must equal the preset's own. */
  readonly input?: Partial<ModelInput>;
  /** Width of a head: 32 (the default of sizes such as `d64l3`) or 64. */
  readonly headWidth?: number;
  readonly sharing?: Sharing;
  /** Of the text tower; left out: causal. */
  readonly attention?: AttentionPattern | undefined;
  readonly rotary?: boolean;
}

/**
 * The configuration of a named size: a preset (`n0` … `n8`, `Ti/16`, `B/32`, `ViT-B/32` …), width and layers as
 * `d64l3`, or as many parameters as fit and layers, as `p800kl2`. Throws ModelConfigError for an unknown name and for an input that contradicts a preset.
 */
export function modelConfig(name: string, options: SizeOptions = {}): ModelConfig {
  const known = aliases[name] ?? name.replace(/^ViT-/, '').replace(/^(Ti|S|M|B)-(\d+)$/, '$1/$2');
  const preset = presets[known];
  if (preset !== undefined) return fromPreset(name, preset, options);
  const resnet = resnets[name];
  if (resnet !== undefined) {
    const text = { width: resnet.text, layers: 12, heads: headsIn(name, resnet.text, options.headWidth, 64) };
    return withResNet(name, resnet.shape, text, resnet.embedding, fixedInput(name, resnet.input, `r${resnet.shape.width}d${resnet.text}l12`, options), options);
  }
  const small = /^r(\d+)d(\d+)l(\d+)$/.exec(name);
  if (small !== null) {
    const [stem, width, layers] = [Number(small[1]), Number(small[2]), Number(small[3])];
    const text = { width, layers, heads: headsIn(name, width, options.headWidth, 32) };
    return withResNet(name, { width: stem, blocks: [1, 1, 1, 1] }, text, width, { ...defaultInput, ...options.input, patch: 32 }, options);
  }
  const counted = /^p(\d+)(k|M)l(\d+)$/.exec(name);
  if (counted !== null) return widest(name, Number(counted[1]) * (counted[2] === 'k' ? 1e3 : 1e6), Number(counted[3]), options);
  const match = /^d(\d+)l(\d+)$/.exec(name);
  if (match === null) {
    throw new ModelConfigError(
      `unknown model size "${name}"`,
      `${guess(name, presetNames)}write width and layers as d64l3, or one of ${presetNames.join(', ')}, or parameters and layers as p800kl2`,
    );
  }
  const [width, layers] = [Number(match[1]), Number(match[2])];
  const input = { ...defaultInput, ...options.input };
  const heads = headsIn(name, width, options.headWidth, 32);
  return checked({
    name,
    image: { width, layers, heads, resolution: input.resolution, patch: input.patch },
    text: { width, layers, heads, context: input.context, vocabulary: input.vocabulary, ...textOf(options) },
    embedding: width,
    ...sharingOf(options),
  });
}

/**
 * The widest towers of `layers` layers with at most `most` parameters, of what goes in: vocabularies of different sizes can then be
 * compared at equal parameters. Widths are multiples of 4, from 32 on of 16, so that heads divide them.
 */
function widest(name: string, most: number, layers: number, options: SizeOptions): ModelConfig {
  const { resolution, patch, context, vocabulary } = { ...defaultInput, ...options.input };
  const places = (resolution / patch) ** 2 + 1 + context;
  const count = (d: number): number => d * (3 * patch ** 2 + 7 + places + vocabulary) + 2 * layers * (12 * d * d + 13 * d) + 2 * d * d + 1;
  let width = 0;
  while (count(width + (width < 32 ? 4 : 16)) <= most) width += width < 32 ? 4 : 16;
  if (width === 0) {
    throw new ModelConfigError(`${most.toLocaleString('en')} parameters are not enough for a vocabulary of ${vocabulary.toLocaleString('en')} in ${layers} layers`, 'allow more, or take a smaller vocabulary');
  }
  return { ...modelConfig(`d${width}l${layers}`, options), name };
}

/** `dual` is left out, so that a configuration without sharing is written as it always was. */
const sharingOf = ({ sharing }: SizeOptions): { sharing?: Sharing } => (sharing === undefined || sharing === 'dual' ? {} : { sharing });

/** What is as in CLIP is left out, for the same reason. */
const textOf = ({ attention, rotary = false }: SizeOptions): Partial<ModelConfig['text']> => ({
  ...(attention === undefined || attention.kind === 'causal' ? {} : { attention }),
  ...(rotary ? { positions: 'rotary' as const } : {}),
});

function withResNet(name: string, shape: ResNetShape, text: TowerSize, embedding: number, input: ModelInput, options: SizeOptions): ModelConfig {
  const width = 32 * shape.width;
  return checked({
    name,
    image: {
      width,
      layers: shape.blocks.reduce((sum, count) => sum + count, 0),
      heads: Math.max(1, width / 64),
      resolution: input.resolution,
      patch: input.patch,
      resnet: shape,
    },
    text: { ...text, context: input.context, vocabulary: input.vocabulary, ...textOf(options) },
    embedding,
    ...sharingOf(options),
  });
}

/** A preset's own input, if what the options say of it agrees. */
function fixedInput(name: string, input: ModelInput, size: string, options: SizeOptions): ModelInput {
  for (const [key, value] of Object.entries(options.input ?? {})) {
    const fixed = input[key as keyof ModelInput];
    // A remapped vocabulary may turn out smaller than it was allowed to be; the embedding has room for it.
    const fits = key === 'vocabulary' ? value === undefined || value <= fixed : value === undefined || value === fixed;
    if (!fits) {
      throw new ModelConfigError(
        `the preset ${name} has ${key} ${fixed}, but the data have ${value}`,
        `prepare the data with ${key} ${fixed}, or name only the size: ${size}`,
      );
    }
  }
  return input;
}

function fromPreset(name: string, [imageWidth, textWidth, layers, headWidth, fixed]: Row, options: SizeOptions): ModelConfig {
  const input = fixedInput(name, fixed, `d${textWidth}l${layers}`, options);
  return checked({
    name,
    image: { width: imageWidth, layers, heads: headsIn(name, imageWidth, options.headWidth, headWidth), resolution: input.resolution, patch: input.patch },
    text: { width: textWidth, layers, heads: headsIn(name, textWidth, options.headWidth, headWidth), context: input.context, vocabulary: input.vocabulary, ...textOf(options) },
    embedding: textWidth,
    ...sharingOf(options),
  });
}

/** The configuration itself, if it can be built; ModelConfigError if not. */
export function checked(config: ModelConfig): ModelConfig {
  const counts = {
    'image width': config.image.width,
    'image layers': config.image.layers,
    'image heads': config.image.heads,
    resolution: config.image.resolution,
    patch: config.image.patch,
    'text width': config.text.width,
    'text layers': config.text.layers,
    'text heads': config.text.heads,
    context: config.text.context,
    vocabulary: config.text.vocabulary,
    embedding: config.embedding,
  };
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ModelConfigError(`the model ${config.name} has ${key} ${value}`, `${key} must be a whole number above 0`);
    }
  }
  if (config.image.resolution % config.image.patch !== 0) {
    throw new ModelConfigError(
      `patches of ${config.image.patch} pixels do not fill ${config.image.resolution} pixels`,
      'choose a patch that divides the resolution',
    );
  }
  for (const [tower, { width, heads }] of Object.entries({ image: config.image, text: config.text })) {
    if (width % heads !== 0) {
      throw new ModelConfigError(`${heads} heads do not share the ${tower} tower's width ${width}`, 'choose heads that divide it');
    }
  }
  checkAttention(config);
  if (config.decoder !== undefined) checkDecoder(config);
  const asked = config.auxiliary?.kind;
  if (asked === 'mim' && config.image.resnet !== undefined) throw new ModelConfigError(`mim hides patches, but ${config.name} has a ResNet`, 'take a size such as d64l3');
  if ((asked === 'mlm' || asked === 'span') && config.text.attention === undefined) {
    throw new ModelConfigError(`${asked} asks for words that a causal tower has not yet seen around`, 'set masking: bidirectional, or another that looks ahead');
  }
  if (config.image.resnet !== undefined && (config.adapter !== undefined || config.decoder !== undefined)) {
    throw new ModelConfigError(`adapters and decoders need an image tower of transformer blocks, but ${config.name} has a ResNet`, 'take a base such as d64l3');
  }
  if (config.adapter !== undefined && (config.sharing ?? 'dual') !== 'dual') {
    throw new ModelConfigError(`adapters are of one tower each, but the towers of ${config.name} share weights (sharing: ${config.sharing})`, 'take a base with sharing: dual');
  }
  const { sharing = 'dual', image, text } = config;
  if (sharing !== 'dual' && (image.width !== text.width || image.layers !== text.layers || image.heads !== text.heads)) {
    throw new ModelConfigError(
      `sharing: ${sharing} needs towers of one shape, but ${config.name} has width ${image.width} and ${text.width}, ` +
        `${image.layers} and ${text.layers} layers, ${image.heads} and ${text.heads} heads`,
      `choose a size with equal towers, such as d${text.width}l${text.layers}`,
    );
  }
  return config;
}

function checkDecoder({ name, text, sharing = 'dual', adapter, decoder }: ModelConfig): void {
  if (text.attention !== undefined || text.positions !== undefined || sharing !== 'dual' || adapter !== undefined) {
    throw new ModelConfigError(`the decoder ${decoder!.kind} of ${name} is causal, with towers of its own`, 'leave masking, sharing and adapters to models without a decoder');
  }
}

/** Whether the pattern fits the context, and whether the token that is read sees all of it in the end. */
function checkAttention({ name, text }: ModelConfig): void {
  const { attention, context, layers, width, heads } = text;
  if (text.positions === 'rotary' && (width / heads) % 2 !== 0) {
    throw new ModelConfigError(`rotary positions turn pairs of channels, but a head of ${name} has ${width / heads}`, 'choose a width or headWidth so that each head has an even number');
  }
  if (attention === undefined) return;
  try {
    const mask = attentionMask(attention, context, pooledAtStart(attention) && attention.global !== false ? [0] : []);
    if (!reachesAll(mask, pooledAtStart(attention) ? 0 : context - 1, layers)) {
      throw new ModelConfigError(
        `under ${attention.kind} attention the token that is read does not see all of ${context} tokens within ${layers} layers`,
        'let it be global, or take a wider pattern or more layers',
      );
    }
  } catch (error) {
    if (error instanceof AttentionPatternError) throw new ModelConfigError(error.message, error.hint);
    throw error;
  }
}

/** Patches along both sides of an image. */
export const patchCount = (config: ModelConfig): number => (config.image.resolution / config.image.patch) ** 2;
