/** At what costs models are compared: what each has of the reference's parameters and compute, and where that is as much. */

/** What a model costs, by the metrics that say so, and their names in a sentence. */
export const costs = {
  parameters: 'parameters',
  macs_per_pair: 'operations a pair',
  flops: 'training FLOP',
} as const;

export type Cost = keyof typeof costs;

export const costNames = Object.keys(costs) as readonly Cost[];

export interface CostedKind {
  readonly name: string;
  /** Times the reference's; absent where either is not known. */
  readonly ratios: Readonly<Partial<Record<Cost, number>>>;
}

/**
 * In a sentence, with whom each cost is matched, which is to within the share `tolerance`; of the others how many times the reference's
 * they have. Empty where no cost is known.
 */
export function matchedCosts(kinds: readonly CostedKind[], reference: string, tolerance: number): string {
  const others = kinds.filter(({ name }) => name !== reference);
  const said = costNames.flatMap((cost) => {
    const known = others.flatMap(({ name, ratios }) => (ratios[cost] === undefined ? [] : [{ name, ratio: ratios[cost] }]));
    if (known.length === 0) return [];
    const apart = known.filter(({ ratio }) => Math.abs(ratio - 1) > tolerance);
    const list = apart.map(({ name, ratio }) => `${name} (${ratio.toPrecision(3)} times)`).join(', ');
    return [`${costs[cost]} ${apart.length === 0 ? 'of every one' : apart.length === known.length ? `of none: ${list}` : `of every one but ${list}`}`];
  });
  return said.length === 0 ? '' : `Matched with ${reference} within ${100 * tolerance} % are ${said.join('; ')}.`;
}

export interface ShownKind extends CostedKind {
  readonly runs: number | undefined;
  readonly folds: number;
  /** Of its interval, 0 to 1. */
  readonly level: number | undefined;
}

/** The line below a plot's title: what a bar is the mean of, what its interval is, and at what equal cost. */
export function shownAs(kinds: readonly ShownKind[], tolerance: number): string {
  const one = <T>(of: (kind: ShownKind) => T): T | undefined => (new Set(kinds.map(of)).size === 1 ? of(kinds[0]!) : undefined);
  const [runs, folds, level] = [one((kind) => kind.runs), one((kind) => kind.folds), one((kind) => kind.level)];
  const inFolds = folds === undefined || folds < 2 ? '' : ` in ${folds} folds`;
  const means = runs === undefined ? 'means of several runs' : runs === 1 ? 'single runs' : `means of ${runs} runs${inFolds}`;
  const equal = costNames.filter((cost) => kinds.every(({ ratios }) => Math.abs((ratios[cost] ?? NaN) - 1) <= tolerance)).map((cost) => costs[cost]);
  return [
    runs === 1 || level === undefined ? means : `${means} with ${Number((100 * level).toPrecision(6))} % intervals`,
    ...(equal.length === 0 ? [] : [`equal within ${100 * tolerance} %: ${equal.join(', ')}`]),
  ].join('; ');
}
