/**
 * Ways of fitting long captions into a budget, by name: one text says what is read (fewer tokens), which pairs of tokens attention
 * allows (fewer pairs), and whether training ends with everything read. Parts are joined by `+`: `random+tuned`.
 */
import type { AttentionPattern } from './attention-pattern.ts';
import type { Auxiliary } from './auxiliary.ts';
import { instead, ModelConfigError } from './config-error.ts';
import type { ImageReading, Reading, TextReading } from './reading.ts';

export interface Masking {
  readonly reading: Reading;
  /** Of the text tower; undefined is CLIP's causal one. */
  readonly attention: AttentionPattern | undefined;
  readonly rotary: boolean;
  /** The last part of training reads everything. */
  readonly tuned: boolean;
  /** At that change, positions that were not read so far are stretched out of those that were (Long-CLIP; Zhang et al., 2024). */
  readonly stretched: boolean;
  /** What is hidden in a second pass and asked for; null for nothing. */
  readonly auxiliary: Auxiliary['kind'] | null;
}

/** Word frequency above which the reducer `frequency` begins to drop words, as in CLIPF's range of 1e-6 to 1e-4 for web text. */
const frequencyThreshold = 1e-3;

const textWays = ['truncate', 'chars77', 'random', 'block', 'syntax', 'frequency', 'sentences', 'chunks'] as const;
const attentionWays: Readonly<Record<string, (numbers: readonly number[], seed: number) => AttentionPattern>> = {
  causal: () => ({ kind: 'causal' }),
  bidirectional: () => ({ kind: 'bidirectional' }),
  prefix: ([length = NaN]) => ({ kind: 'prefix', length }),
  window: ([width = NaN]) => ({ kind: 'window', width }),
  dilated: ([width = NaN, dilation = NaN]) => ({ kind: 'dilated', width, dilation }),
  longformer: ([width = NaN]) => ({ kind: 'longformer', width }),
  bigbird: ([block = NaN, windowBlocks = NaN, randomBlocks = NaN], seed) => ({ kind: 'bigbird', block, windowBlocks, randomBlocks, seed }),
  strided: ([width = NaN, stride = NaN]) => ({ kind: 'strided', width, stride }),
  blocks: ([size = NaN]) => ({ kind: 'block', size }),
};
const numbersOf: Readonly<Record<string, number>> = { prefix: 1, window: 1, dilated: 2, longformer: 1, bigbird: 3, strided: 2, blocks: 1 };
const auxiliaryWays = ['mlm', 'span', 'mim'] as const;
const imageWays = ['image-random', 'image-block', 'image-grid', 'image-resize'] as const;

/** What may be written, for help and errors. */
export const maskingNames: readonly string[] = [
  'full', ...textWays, 'causal', 'bidirectional', 'prefix-16', 'window-16', 'dilated-16-2', 'longformer-16', 'bigbird-8-3-1', 'strided-16-8',
  'blocks-16', 'window-16-apart', 'image-random-50', 'image-block-50', 'image-grid', 'image-resize', 'rotary', 'tuned', 'stretched',
  'bidirectional+mlm', 'bidirectional+span', 'mim',
];

/**
 * @param tokens the budget of the ways that need one, start and end included; null where none is given
 * @param seed of BigBird's blocks
 * @throws ModelConfigError for a name that is not known, parts that exclude each other, or a budget that is missing
 */
export function maskingOf(text: string, tokens: number | null, seed = 1): Masking {
  const wrong = (message: string, hint: string): ModelConfigError => new ModelConfigError(message, hint);
  let reading: TextReading = { kind: 'whole' };
  let image: ImageReading = { kind: 'whole' };
  let attention: AttentionPattern | undefined;
  let auxiliary: Masking['auxiliary'] = null;
  const said = new Set<string>();
  const once = (what: string): void => {
    if (said.has(what)) throw wrong(`masking: ${text} says two things about ${what}`, 'keep one of them');
    said.add(what);
  };
  for (const part of text.split('+')) {
    const [, name = part, rest = '', apart] = /^([a-z]+(?:-[a-z]+)*?|chars77)((?:-\d+(?:\.\d+)?)*)(-apart)?$/.exec(part) ?? [];
    const numbers = rest.split('-').filter((number) => number !== '').map(Number);
    if (part === 'full' || part === 'rotary' || part === 'tuned' || part === 'stretched') {
      once(part);
    } else if ((textWays as readonly string[]).includes(part)) {
      once('the caption');
      if (tokens === null) throw wrong(`masking: ${part} needs a budget`, 'set tokens, start and end included');
      if (!Number.isInteger(tokens) || tokens < 3) throw wrong(`a budget of ${tokens} tokens leaves none beside start and end`, 'set tokens to 3 or more');
      reading = textReading(part as (typeof textWays)[number], tokens);
    } else if (Object.hasOwn(attentionWays, name) && numbers.length === (numbersOf[name] ?? 0) && (apart === undefined || numbers.length > 0)) {
      once('attention');
      attention = name === 'causal' ? undefined : { ...attentionWays[name]!(numbers, seed), ...(apart === undefined ? {} : { global: false }) };
    } else if ((auxiliaryWays as readonly string[]).includes(part)) {
      once('what is asked for beside contrast');
      auxiliary = part as (typeof auxiliaryWays)[number];
    } else if ((imageWays as readonly string[]).includes(name) && numbers.length <= (name === 'image-random' || name === 'image-block' ? 1 : 0)) {
      once('the image');
      const percent = numbers[0] ?? 50;
      if (!(percent > 0 && percent < 100)) throw wrong(`masking: ${part} keeps ${100 - percent} % of the patches`, 'write the percentage that is left out, between 0 and 100');
      image = imageReading(name as (typeof imageWays)[number], 1 - percent / 100);
    } else {
      throw wrong(`masking: "${part}" is not known`, `${instead(part, maskingNames)}, or several joined by +`);
    }
  }
  const whole = reading.kind === 'whole' && image.kind === 'whole';
  if (said.has('stretched') && (!said.has('tuned') || reading.kind === 'whole')) {
    throw wrong('masking: stretched needs positions that were not read', 'write for example truncate+tuned+stretched');
  }
  if (said.has('tuned') && whole) throw wrong('masking: tuned ends with everything read, but nothing is left out before', 'name what is left out, as random+tuned');
  if (said.has('rotary') && said.has('stretched')) throw wrong('masking: rotary has no table of positions to stretch', 'leave one of them out');
  return { reading: { text: reading, image }, attention, rotary: said.has('rotary'), tuned: said.has('tuned'), stretched: said.has('stretched'), auxiliary };
}

function textReading(way: (typeof textWays)[number], tokens: number): TextReading {
  if (way === 'chars77') return { kind: 'characters', tokens };
  if (way === 'chunks') return { kind: 'chunks', tokens };
  return { kind: 'reduced', tokens, reducer: way === 'frequency' ? { kind: way, threshold: frequencyThreshold } : { kind: way } };
}

function imageReading(way: (typeof imageWays)[number], keep: number): ImageReading {
  switch (way) {
    case 'image-random':
      return { kind: 'random', keep };
    case 'image-block':
      return { kind: 'block', keep };
    case 'image-grid':
      return { kind: 'grid' };
    case 'image-resize':
      return { kind: 'resize' };
  }
}

/**
 * Positions `[old, width]` stretched to `[to, width]`: the first `kept` stay, the others move apart evenly, with linear
 * interpolation between them; beyond the last one the slope goes on (Long-CLIP's knowledge-preserved stretching: 77 positions, of
 * which 20 are kept, become 248 by a factor of 4).
 */
export function stretchPositions(positions: Float32Array, width: number, to: number, kept = 20): Float32Array {
  const old = positions.length / width;
  const fixed = Math.min(kept, old - 2);
  const factor = (to - fixed) / (old - fixed);
  if (fixed < 0 || factor < 1) throw new RangeError(`${old} positions cannot be stretched to ${to}`);
  const result = new Float32Array(to * width);
  result.set(positions.subarray(0, fixed * width));
  for (let place = fixed; place < to; place++) {
    const from = fixed + (place - fixed) / factor;
    const first = Math.min(Math.floor(from), old - 2);
    const share = from - first;
    for (let i = 0; i < width; i++) {
      const [a, b] = [positions[first * width + i]!, positions[(first + 1) * width + i]!];
      result[place * width + i] = a + share * (b - a);
    }
  }
  return result;
}
