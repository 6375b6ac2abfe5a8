/** Which keys a query sees: the sparse attention patterns of the study, each from its definition. */
import { randomOf } from '../data/random.ts';

export type AttentionPattern = Pattern & {
  /** False: the token that is read sees no more than any other, where it is the first one. */
  readonly global?: boolean;
};

type Pattern =
  /** All. */
  | { readonly kind: 'bidirectional' }
  /** j ≤ i. */
  | { readonly kind: 'causal' }
  /** j < length, or j ≤ i (prefix language model; Raffel et al., 2020). */
  | { readonly kind: 'prefix'; readonly length: number }
  /** |i − j| ≤ width / 2 (Longformer's sliding window; Beltagy et al., 2020). */
  | { readonly kind: 'window'; readonly width: number }
  /** |i − j| ≤ dilation · width / 2 and dilation divides i − j. */
  | { readonly kind: 'dilated'; readonly width: number; readonly dilation: number }
  /** A window, and the pooled token sees and is seen by all. */
  | { readonly kind: 'longformer'; readonly width: number }
  /** Blocks: those beside, the first one for all, and some drawn by seed for each row of blocks (Zaheer et al., 2020). */
  | { readonly kind: 'bigbird'; readonly block: number; readonly windowBlocks: number; readonly randomBlocks: number; readonly seed: number }
  /** A window, and every stride-th token counted from the query (Child et al., 2019). */
  | { readonly kind: 'strided'; readonly width: number; readonly stride: number }
  /** Of the same block only: ⌊i / size⌋ = ⌊j / size⌋. */
  | { readonly kind: 'block'; readonly size: number };

/** Under sparse patterns a text is read at its start token, which can be global at a fixed place; else at its end, as in CLIP. */
export const pooledAtStart = ({ kind }: AttentionPattern): boolean => kind !== 'causal' && kind !== 'prefix' && kind !== 'bidirectional';

/** A pattern over a number of tokens. */
export interface AttentionMask {
  readonly tokens: number;
  /** `[tokens, tokens]`, 1 where query i (row) sees key j (column). */
  readonly allowed: Uint8Array;
  /** Pairs allowed, what a form that saves time would compute. */
  readonly pairs: number;
}

/** A pattern that does not fit its tokens, or that hides the text from the token that is read. */
export class AttentionPatternError extends RangeError {
  override readonly name = 'AttentionPatternError';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/**
 * The mask of a pattern over `tokens` tokens. Every token sees itself. `globals` are tokens that all see and that see all:
 * those pooled from, under any pattern that would hide others from them.
 * @throws AttentionPatternError for sizes that are no whole numbers from 1, and prefixes longer than the tokens.
 */
export function attentionMask(pattern: AttentionPattern, tokens: number, globals: readonly number[] = []): AttentionMask {
  checkPattern(pattern, tokens);
  const allowed = new Uint8Array(tokens * tokens);
  const sees = seesIn(pattern, tokens);
  for (let i = 0; i < tokens; i++) {
    for (let j = 0; j < tokens; j++) if (i === j || sees(i, j)) allowed[i * tokens + j] = 1;
  }
  for (const token of globals) {
    for (let other = 0; other < tokens; other++) {
      allowed[token * tokens + other] = 1;
      allowed[other * tokens + token] = 1;
    }
  }
  return { tokens, allowed, pairs: allowed.reduce((sum, one) => sum + one, 0) };
}

function seesIn(pattern: AttentionPattern, tokens: number): (i: number, j: number) => boolean {
  switch (pattern.kind) {
    case 'bidirectional':
      return () => true;
    case 'causal':
      return (i, j) => j <= i;
    case 'prefix':
      return (i, j) => j < pattern.length || j <= i;
    case 'window':
    case 'longformer':
      return (i, j) => Math.abs(i - j) <= pattern.width / 2;
    case 'dilated':
      return (i, j) => Math.abs(i - j) <= (pattern.dilation * pattern.width) / 2 && (i - j) % pattern.dilation === 0;
    case 'strided':
      return (i, j) => Math.abs(i - j) <= pattern.width / 2 || (i - j) % pattern.stride === 0;
    case 'block':
      return (i, j) => Math.floor(i / pattern.size) === Math.floor(j / pattern.size);
    case 'bigbird': {
      const drawn = bigBirdBlocks(pattern, tokens);
      return (i, j) => {
        const [row, column] = [Math.floor(i / pattern.block), Math.floor(j / pattern.block)];
        return row === 0 || column === 0 || Math.abs(row - column) <= (pattern.windowBlocks - 1) / 2 || drawn[row]!.has(column);
      };
    }
  }
}

/** For each row of blocks those drawn: neither the first nor in the row's window, as many as asked for or as there are. */
function bigBirdBlocks(pattern: AttentionPattern & { kind: 'bigbird' }, tokens: number): readonly ReadonlySet<number>[] {
  const blocks = Math.ceil(tokens / pattern.block);
  return Array.from({ length: blocks }, (_, row) => {
    const random = randomOf('bigbird', pattern.seed, row);
    const others = Array.from({ length: blocks }, (_, column) => column).filter(
      (column) => column !== 0 && Math.abs(row - column) > (pattern.windowBlocks - 1) / 2,
    );
    const drawn = new Set<number>();
    while (drawn.size < Math.min(pattern.randomBlocks, others.length)) drawn.add(random.pick(others));
    return drawn;
  });
}

function checkPattern(pattern: AttentionPattern, tokens: number): void {
  for (const [name, value] of Object.entries(pattern)) {
    if (name === 'kind' || name === 'seed' || name === 'global') continue;
    const least = name === 'randomBlocks' ? 0 : 1;
    if (!Number.isInteger(value) || Number(value) < least) {
      throw new AttentionPatternError(`the attention pattern ${pattern.kind} has ${name} ${String(value)}`, `${name} must be a whole number from ${least}`);
    }
  }
  if (pattern.kind === 'prefix' && pattern.length > tokens) {
    throw new AttentionPatternError(`a prefix of ${pattern.length} tokens is longer than the ${tokens} that there are`, 'make length smaller');
  }
  if (pattern.kind === 'bigbird' && pattern.windowBlocks % 2 === 0) {
    throw new AttentionPatternError(`a BigBird window of ${pattern.windowBlocks} blocks has no middle`, 'make windowBlocks odd');
  }
}

/** Whether every token reaches the one at `pooled` within `layers` layers; a text that it cannot see is not embedded. */
export function reachesAll({ tokens, allowed }: AttentionMask, pooled: number, layers: number): boolean {
  let seen = new Set([pooled]);
  for (let layer = 0; layer < layers && seen.size < tokens; layer++) {
    const next = new Set(seen);
    for (const i of seen) for (let j = 0; j < tokens; j++) if (allowed[i * tokens + j] === 1) next.add(j);
    seen = next;
  }
  return seen.size === tokens;
}
