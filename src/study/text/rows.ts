/** Rows of tokens at a fixed context length: start, tokens, end, padding. */
import type { TokenVocabulary } from './remap.ts';

/** What happens to a caption with more than `context` − 2 tokens. */
export type Overlong = 'truncate' | 'refuse';

/** A caption does not fit and may not be cut. */
export class OverlongCaptionError extends Error {
  override readonly name = 'OverlongCaptionError';
}

export interface TokenRows {
  /** `[count, context]` */
  readonly ids: Int32Array;
  /** Tokens of each row, start and end included. */
  readonly lengths: Uint16Array;
}

/**
 * Lays out captions (ids of `vocabulary`, without start and end) as rows `[count, context]`. A caption that is too long
 * keeps its first tokens, and the end token takes the last place (OpenAI's `truncate=True`).
 * @param names the caption's id, for errors
 * @throws OverlongCaptionError under `refuse`; RangeError for a context below 3 or above 65,535.
 */
export function tokenRows(
  captions: readonly ArrayLike<number>[],
  vocabulary: TokenVocabulary,
  context: number,
  overlong: Overlong = 'truncate',
  names?: readonly string[],
): TokenRows {
  if (!Number.isInteger(context) || context < 3 || context > 65535) {
    throw new RangeError(`A context of ${context} tokens cannot hold start, a token and end; use 3 to 65535.`);
  }
  const ids = new Int32Array(captions.length * context).fill(vocabulary.pad);
  const lengths = new Uint16Array(captions.length);
  captions.forEach((caption, row) => {
    if (caption.length > context - 2 && overlong === 'refuse') {
      const name = names?.[row] ?? `row ${row}`;
      throw new OverlongCaptionError(`${name} has ${caption.length + 2} tokens with start and end; the context is ${context}.`);
    }
    const kept = Math.min(caption.length, context - 2);
    const at = row * context;
    ids[at] = vocabulary.start;
    for (let i = 0; i < kept; i += 1) ids[at + 1 + i] = caption[i]!;
    ids[at + 1 + kept] = vocabulary.end;
    lengths[row] = kept + 2;
  });
  return { ids, lengths };
}
