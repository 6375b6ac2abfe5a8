import { holm } from './significance.ts';

export interface ComparedKind {
  readonly name: string;
  readonly mean: number;
  /** To the reference, and its two-sided probability; NaN where there are too few runs. */
  readonly difference: number;
  readonly p: number;
}

export interface AnswerOptions {
  readonly reference: string;
  readonly better: 'higher' | 'lower';
  readonly subject: string;
  readonly metric: string;
  readonly alpha: number;
}

/** What a comparison says, in a sentence or three: which differ from the reference after Holm's correction, and which do not. */
export function comparisonAnswer(kinds: readonly ComparedKind[], { reference, better, subject, metric, alpha }: AnswerOptions): string {
  const others = kinds.filter(({ name }) => name !== reference);
  const tested = others.filter(({ p }) => Number.isFinite(p));
  const corrected = holm(tested.map(({ p }) => p));
  const sign = better === 'higher' ? 1 : -1;
  const say = ({ name, difference }: ComparedKind, p?: number): string =>
    `${name} (${difference > 0 ? '+' : ''}${difference.toPrecision(2)}${p === undefined ? '' : `, p ${p.toPrecision(2)}`})`;
  const listed = (of: (difference: number, p: number) => boolean): string =>
    tested.flatMap((kind, i) => (of(sign * kind.difference, corrected[i]!) ? [say(kind, corrected[i])] : [])).join(', ');
  const parts = [
    ['better', listed((difference, p) => p <= alpha && difference > 0)],
    ['worse', listed((difference, p) => p <= alpha && difference < 0)],
    ['not told apart', listed((_, p) => p > alpha)],
    ['too few runs to tell', others.filter(({ p }) => !Number.isFinite(p)).map((kind) => say(kind)).join(', ')],
  ] as const;
  const said = parts.filter(([, list]) => list !== '').map(([what, list]) => `${what}: ${list}`);
  return `Of these ${subject}, against ${reference} in ${metric}, ${said.join('; ')}. Probabilities are Holm's, over ${tested.length} comparisons.`;
}
