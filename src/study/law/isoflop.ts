/** IsoFLOP parabolas (Hoffmann et al. 2022, approach 2): at each budget, the size at the bottom of a parabola in ln N. */

export interface IsoFlopRun {
  readonly n: number;
  readonly d: number;
  readonly loss: number;
  /** FLOP the run was given; runs whose budgets agree to 10 % belong together. */
  readonly compute: number;
}

export interface IsoFlopBudget {
  readonly compute: number;
  readonly runs: number;
  /** The bottom of the parabola; absent where there is none inside the sizes tried. */
  readonly optimum?: { readonly n: number; readonly d: number; readonly loss: number };
  /** Why there is no optimum. */
  readonly reason?: 'fewer than three sizes' | 'no minimum' | 'minimum at an edge';
}

export interface IsoFlopResult {
  readonly budgets: readonly IsoFlopBudget[];
  /** Exponents of the optimal size and samples in compute; absent with fewer than two budgets that have an optimum. */
  readonly exponents?: { readonly n: number; readonly d: number };
}

/** Fits a parabola to each budget, and power laws through their minima. */
export function isoFlop(runs: readonly IsoFlopRun[]): IsoFlopResult {
  const budgets = groupByBudget(runs).map(oneBudget);
  const found = budgets.filter((budget) => budget.optimum !== undefined);
  if (found.length < 2) return { budgets };
  const x = found.map(({ compute }) => Math.log(compute));
  const slope = (key: 'n' | 'd'): number =>
    leastSquares(
      x.map((value) => [1, value]),
      found.map(({ optimum }) => Math.log(optimum![key])),
    )[1]!;
  return { budgets, exponents: { n: slope('n'), d: slope('d') } };
}

function groupByBudget(runs: readonly IsoFlopRun[]): IsoFlopRun[][] {
  const groups: IsoFlopRun[][] = [];
  for (const run of [...runs].sort((a, b) => a.compute - b.compute)) {
    const last = groups.at(-1);
    if (last !== undefined && run.compute <= last[0]!.compute * 1.1) last.push(run);
    else groups.push([run]);
  }
  return groups;
}

function oneBudget(runs: readonly IsoFlopRun[]): IsoFlopBudget {
  const compute = Math.exp(runs.reduce((sum, run) => sum + Math.log(run.compute), 0) / runs.length);
  const sizes = runs.map(({ n }) => Math.log(n));
  const base = { compute, runs: runs.length };
  if (new Set(sizes).size < 3) return { ...base, reason: 'fewer than three sizes' };
  const centre = sizes.reduce((sum, value) => sum + value, 0) / sizes.length;
  const rows = sizes.map((value) => [1, value - centre, (value - centre) ** 2]);
  const [c0 = 0, c1 = 0, c2 = 0] = leastSquares(
    rows,
    runs.map(({ loss }) => loss),
  );
  if (!(c2 > 0)) return { ...base, reason: 'no minimum' };
  const bottom = centre - c1 / (2 * c2);
  if (bottom < Math.min(...sizes) || bottom > Math.max(...sizes)) return { ...base, reason: 'minimum at an edge' };
  // Samples at the optimum: log-linear in ln N along the budget.
  const [d0 = 0, d1 = 0] = leastSquares(
    sizes.map((value) => [1, value - centre]),
    runs.map(({ d }) => Math.log(d)),
  );
  return { ...base, optimum: { n: Math.exp(bottom), d: Math.exp(d0 + d1 * (bottom - centre)), loss: c0 - (c1 * c1) / (4 * c2) } };
}

/** Least squares by the normal equations, for two or three well-centred columns. */
function leastSquares(rows: readonly (readonly number[])[], target: readonly number[]): number[] {
  const size = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (_, j) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    rows.reduce((sum, row, k) => sum + row[i]! * target[k]!, 0),
  ]);
  for (let i = 0; i < size; i += 1) {
    const pivot = matrix.slice(i).reduce((best, row, k) => (Math.abs(row[i]!) > Math.abs(matrix[best]![i]!) ? i + k : best), i);
    [matrix[i], matrix[pivot]] = [matrix[pivot]!, matrix[i]!];
    for (let k = 0; k < size; k += 1) {
      if (k === i) continue;
      const factor = matrix[k]![i]! / matrix[i]![i]!;
      for (let j = i; j <= size; j += 1) matrix[k]![j]! -= factor * matrix[i]![j]!;
    }
  }
  return matrix.map((row, i) => row[size]! / row[i]!);
}
