/** Runs as `evaluate` reports them: metrics files, one a cell, turned into points and a list of what is left out. */
import { readMetrics } from '../metric-lines.ts';
import type { PlottedRun } from './plot.ts';

export interface RunCell {
  readonly cell: string;
  readonly point: Readonly<Record<string, unknown>>;
  /** A metrics file: JSON Lines of `{ metric, value, step? }`; null where the cell has none. */
  readonly path: string | null;
  readonly status: string;
}

export interface RunMetricNames {
  readonly loss: string;
  /** Parameters that the law counts. */
  readonly n: string;
  /** Samples seen. */
  readonly d: string;
  /** Multiply–accumulates of a forward pass on one pair. */
  readonly macs: string;
}

export interface CollectedRuns {
  readonly runs: readonly (PlottedRun & { readonly cell: string; readonly flopsPerSample: number; readonly chance?: number })[];
  readonly leftOut: readonly { readonly cell: string; readonly reason: string }[];
}

/** Reads each cell's metrics, and as its block the value of the axis `blocks`; a cell without a file, without a metric or with one that is not finite is left out by name. */
export async function collectRuns(cells: readonly RunCell[], names: RunMetricNames, blocks: string): Promise<CollectedRuns> {
  const runs: CollectedRuns['runs'][number][] = [];
  const leftOut: CollectedRuns['leftOut'][number][] = [];
  for (const { cell, point, path, status } of cells) {
    if (path === null) {
      leftOut.push({ cell, reason: status });
      continue;
    }
    const metrics = await readMetrics(path);
    const problem = [names.loss, names.n, names.d, names.macs]
      .map((name) => {
        const value = metrics.get(name);
        if (value === undefined) return `has no metric ${name}`;
        return Number.isFinite(value) && value > 0 ? undefined : `${name} is ${value}`;
      })
      .find((text) => text !== undefined);
    if (problem !== undefined) {
      leftOut.push({ cell, reason: problem });
      continue;
    }
    const n = metrics.get(names.n)!;
    const d = metrics.get(names.d)!;
    const flopsPerSample = 6 * metrics.get(names.macs)!;
    const chance = metrics.get(`${names.loss}_chance`);
    runs.push({
      cell,
      ...(point[blocks] === undefined ? {} : { block: String(point[blocks]) }),
      n,
      d,
      loss: metrics.get(names.loss)!,
      flopsPerSample,
      compute: flopsPerSample * d,
      ...(chance === undefined ? {} : { chance }),
    });
  }
  return { runs, leftOut };
}
