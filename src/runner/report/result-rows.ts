/**
 * Cells with their params and metrics: what `pipe table`, `pipe compare`, the page and the end of a run show. A cell that
 * is not fresh shows its last good attempt, marked as stale; one that never ran is there without numbers.
 */
import type { Json, JsonObject } from '../json.ts';
import type { Cell } from '../pipeline/model.ts';
import type { Plan, PlannedCell } from '../plan/model.ts';
import { lastMetricsOf } from '../store/history.ts';
import type { Store } from '../store/store.ts';
import { reasonText } from '../ui/reason-text.ts';
import { stoppedText } from './stopped-text.ts';
import type { RowMark } from './page-model.ts';

export interface ResultRow {
  readonly cell: Cell;
  readonly stage: string;
  readonly attempt: number | null;
  readonly mark: RowMark;
  /** `optimizer.rate` for nested params. */
  readonly params: Readonly<Record<string, Json>>;
  /** Last values; NaN and infinities as texts. */
  readonly metrics: Readonly<Record<string, Json>>;
}

export function resultRows(plan: Plan, store: Store, cells: Iterable<number>): ResultRow[] {
  const rows: ResultRow[] = [];
  for (const index of cells) {
    const planned = plan.cells[index];
    const cell = plan.graph.cells[index];
    if (planned === undefined || cell === undefined) continue;
    const attempt = attemptOf(planned, plan, store);
    rows.push({
      cell,
      stage: plan.graph.stages[cell.stage]?.name ?? '',
      attempt,
      mark: markOf(planned, attempt, plan, store),
      params: flatten(cell.with),
      metrics: attempt === null ? {} : metricValues(lastMetricsOf(store.database, attempt)),
    });
  }
  return rows;
}

/** The attempt whose result a cell has now: that of its record, else its last good one. */
export function attemptOf(planned: PlannedCell, plan: Plan, store: Store): number | null {
  if (planned.state === 'fresh' && planned.record !== null) return planned.record.attempt;
  const shared = planned.sameAs === null ? undefined : plan.cells[planned.sameAs];
  if (shared?.state === 'fresh' && shared.record !== null) return shared.record.attempt;
  const cell = plan.graph.cells[planned.cell];
  // What a stopped cell had when another decision let it go on is no result.
  if (cell === undefined || planned.state === 'stopped') return null;
  return store.results.lastAttempts(plan.graph.pipeline, cell.id, { status: 'ran', limit: 1 })[0]?.id ?? null;
}

export function markOf(planned: PlannedCell, attempt: number | null, plan: Plan, store: Store): RowMark {
  if (planned.state === 'stopped') return { state: 'stopped', why: stoppedText(plan, store, planned.cell) };
  const context = { graph: plan.graph, cwd: plan.graph.root, locate: null };
  const why = planned.reasons.map(reason => reasonText(reason, context)).join('; ') || 'not run yet';
  if (attempt === null) return { state: 'missing', why };
  if (planned.state !== 'fresh') return { state: 'stale', why };
  const accepted = planned.record?.accepted ?? null;
  return accepted === null ? { state: 'fresh' } : { state: 'accepted', why: accepted };
}

export function flatten(params: JsonObject, prefix = ''): Record<string, Json> {
  const flat: Record<string, Json> = {};
  for (const [name, value] of Object.entries(params)) {
    if (isMap(value) && Object.keys(value).length > 0) Object.assign(flat, flatten(value, `${prefix}${name}.`));
    else flat[prefix + name] = value;
  }
  return flat;
}

const isMap = (value: Json): value is JsonObject => value !== null && typeof value === 'object' && !Array.isArray(value);

/** Numbers that JSON cannot hold become the texts NaN, Infinity and -Infinity. */
export function metricValues(metrics: Readonly<Record<string, number>>): Record<string, Json> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, Number.isFinite(value) ? value : String(value)]));
}

/** A value of a row by column name: an axis of the point, then a metric, then a param; `cell`, `stage`, `state`, `reason` (of an acceptance, or a halving's), `attempt` too. */
export function valueOf(row: ResultRow, column: string): Json | undefined {
  if (Object.hasOwn(row.cell.point, column)) return row.cell.point[column];
  if (Object.hasOwn(row.metrics, column)) return row.metrics[column];
  if (Object.hasOwn(row.params, column)) return row.params[column];
  switch (column) {
    case 'cell':
      return row.cell.id;
    case 'stage':
      return row.stage;
    case 'state':
      return row.mark.state;
    case 'reason':
      return row.mark.state === 'accepted' || row.mark.state === 'stopped' ? row.mark.why : undefined;
    case 'attempt':
      return row.attempt;
    default:
      return undefined;
  }
}

export interface ColumnChoice {
  readonly name: string;
  readonly kind: 'axis' | 'param' | 'metric';
}

/** Axes in declared order, then params that differ between the rows, then every metric. */
export function defaultColumns(rows: readonly ResultRow[]): ColumnChoice[] {
  const axes = new Set<string>();
  const metrics = new Set<string>();
  const values = new Map<string, Set<string>>();
  for (const row of rows) {
    for (const axis of Object.keys(row.cell.point)) axes.add(axis);
    for (const metric of Object.keys(row.metrics)) metrics.add(metric);
    for (const [name, value] of Object.entries(row.params)) {
      const seen = values.get(name) ?? new Set();
      values.set(name, seen.add(JSON.stringify(value)));
    }
  }
  const varying = [...values].filter(([name, seen]) => seen.size > 1 && !axes.has(name) && !sameAsAnAxis(name, rows, axes)).map(([name]) => name);
  return [
    ...[...axes].map(name => ({ name, kind: 'axis' as const })),
    ...varying.map(name => ({ name, kind: 'param' as const })),
    ...[...metrics].map(name => ({ name, kind: 'metric' as const })),
  ];
}

/** `rate: ${matrix.learning_rate}` would show the same column twice. */
function sameAsAnAxis(param: string, rows: readonly ResultRow[], axes: ReadonlySet<string>): boolean {
  return [...axes].some(axis => rows.every(row => JSON.stringify(row.params[param]) === JSON.stringify(row.cell.point[axis])));
}

export function kindOfColumn(name: string, rows: readonly ResultRow[]): ColumnChoice['kind'] {
  if (rows.some(row => Object.hasOwn(row.cell.point, name))) return 'axis';
  return rows.some(row => Object.hasOwn(row.metrics, name)) ? 'metric' : 'param';
}
