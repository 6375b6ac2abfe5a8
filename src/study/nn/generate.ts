/** Writing captions token by token: the likeliest next one each time, or the best of several at once. */

/** Logs of the probabilities of the next token, for each prefix. */
export type Next = (prefixes: readonly (readonly number[])[]) => readonly ArrayLike<number>[];

export interface Written {
  /** Start and, if it was reached, end included. */
  readonly tokens: readonly number[];
  /** log p of the tokens after the start. */
  readonly logProbability: number;
}

export interface WritingOptions {
  readonly start: number;
  readonly end: number;
  /** Most tokens, start and end included. */
  readonly limit: number;
  /** Captions kept at once; 1 is greedy. */
  readonly beams?: number;
  /** A finished caption's score is its log-probability over its length to this power (Wu et al., 2016); 0 takes it as it is. */
  readonly lengthPower?: number;
}

/** The best caption that beam search finds. Ties go to the smaller token, so that equal models write equal captions. */
export function writeCaption(next: Next, { start, end, limit, beams = 1, lengthPower = 0 }: WritingOptions): Written {
  let open: Written[] = [{ tokens: [start], logProbability: 0 }];
  const done: Written[] = [];
  const score = ({ tokens, logProbability }: Written): number => logProbability / (tokens.length - 1) ** lengthPower;
  while (open.length > 0 && open[0]!.tokens.length < limit) {
    const found = next(open.map(({ tokens }) => tokens));
    const candidates = open.flatMap(({ tokens, logProbability }, index) =>
      likeliest(found[index]!, beams).map((token) => ({ tokens: [...tokens, token], logProbability: logProbability + found[index]![token]! })),
    );
    candidates.sort((a, b) => b.logProbability - a.logProbability);
    const kept = candidates.slice(0, beams);
    done.push(...kept.filter(({ tokens }) => tokens.at(-1) === end));
    open = kept.filter(({ tokens }) => tokens.at(-1) !== end);
    // What is open can only become less likely.
    const best = Math.max(-Infinity, ...done.map(score));
    if (lengthPower === 0) open = open.filter(({ logProbability }) => logProbability > best);
  }
  return [...done, ...open].reduce((best, one) => (score(one) > score(best) ? one : best));
}

/** The `count` largest, in falling order. */
function likeliest(values: ArrayLike<number>, count: number): number[] {
  const found: number[] = [];
  for (let token = 0; token < values.length; token++) {
    let place = found.length;
    while (place > 0 && values[found[place - 1]!]! < values[token]!) place--;
    if (place < count) found.splice(place, 0, token);
    if (found.length > count) found.pop();
  }
  return found;
}
