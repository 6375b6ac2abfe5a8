/** Reading the results database for people: runs, attempts, metrics, tables. */
import type { Database } from 'better-sqlite3';
import type { Json, JsonObject } from '../json.ts';
import type { Artefact, Attempt, AttemptStatus, FailureCause, Key } from './model.ts';

export const attemptColumns = `id, run, stage, cell, point, plan_key AS planKey, action_key AS actionKey, status, host, started_at AS startedAt,
  ended_at AS endedAt, cpu_seconds AS cpuSeconds, peak_memory_bytes AS peakMemoryBytes, gpu, exit_code AS exitCode, signal, cause,
  message, log, platform, resumed_from_step AS resumedFromStep, verifies`;

export interface AttemptRow extends Omit<Attempt, 'point' | 'platform'> {
  readonly point: string;
  readonly platform: string;
  readonly planKey: Key;
  readonly status: AttemptStatus;
  readonly cause: FailureCause | null;
}

export function toAttempt(row: AttemptRow): Attempt {
  return { ...row, point: JSON.parse(row.point) as JsonObject, platform: JSON.parse(row.platform) as JsonObject };
}

export interface RunRow {
  readonly id: number;
  readonly pipeline: string;
  readonly file: string;
  readonly root: string;
  readonly profile: string | null;
  readonly overrides: readonly string[];
  readonly params: JsonObject;
  readonly command: readonly string[];
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly exitCode: number | null;
  readonly summary: JsonObject | null;
}

export interface MetricValue {
  readonly name: string;
  readonly step: number | null;
  /** NaN and infinities as such. */
  readonly value: number;
}

const runColumns = `id, pipeline, file, root, profile, overrides, params, command, host, pid, version, started_at AS startedAt, ended_at AS endedAt,
  exit_code AS exitCode, summary`;

/** Runs, newest first. */
export function listRuns(database: Database, options: { readonly pipeline?: string; readonly limit?: number } = {}): RunRow[] {
  const rows = database
    .prepare(`SELECT ${runColumns} FROM run WHERE shared IS NULL AND (@pipeline IS NULL OR pipeline = @pipeline) ORDER BY id DESC LIMIT @limit`)
    .all({ pipeline: options.pipeline ?? null, limit: options.limit ?? -1 });
  return (rows as RawRun[]).map(toRun);
}

export function findRun(database: Database, id: number): RunRow | null {
  const row = database.prepare(`SELECT ${runColumns} FROM run WHERE id = ?`).get(id);
  return row === undefined ? null : toRun(row as RawRun);
}

/** The attempts of a run, in the order they began. */
export function attemptsOfRun(database: Database, run: number): Attempt[] {
  return (database.prepare(`SELECT ${attemptColumns} FROM attempt WHERE run = ? ORDER BY id`).all(run) as AttemptRow[]).map(toAttempt);
}

/** Params as they were given to an attempt, `optimizer.rate` for a nested one. */
export function paramsOf(database: Database, attempt: number): Record<string, Json> {
  const rows = database.prepare<[number], { name: string; value: string }>('SELECT name, value FROM param WHERE attempt = ? ORDER BY name').all(attempt);
  return Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value) as Json]));
}

/** Notes of an attempt, in order. */
export function notesOf(database: Database, attempt: number): string[] {
  const row = database.prepare<[number], { notes: string }>('SELECT notes FROM attempt WHERE id = ?').get(attempt);
  return row === undefined ? [] : (JSON.parse(row.notes) as string[]);
}

/** What an attempt put out, by name of the output: any record that names it. Empty once these are gone. */
export function outputsOf(database: Database, attempt: number): Readonly<Record<string, Artefact>> {
  const row = database.prepare<[number], { outputs: string }>('SELECT outputs FROM record WHERE attempt = ? LIMIT 1').get(attempt);
  return row === undefined ? {} : (JSON.parse(row.outputs) as Readonly<Record<string, Artefact>>);
}

/** Every metric row of an attempt, by name and step. */
export function metricsOf(database: Database, attempt: number): MetricValue[] {
  return database
    .prepare<[number], RawMetric>('SELECT name, step, value, kind FROM metric WHERE attempt = ? ORDER BY name, step, rowid')
    .all(attempt)
    .map(row => ({ name: row.name, step: row.step, value: numberOf(row) }));
}

/** The last value of each metric of an attempt. */
export function lastMetricsOf(database: Database, attempt: number): Record<string, number> {
  // Ordered by step (none first) and time of writing: the last of each name wins.
  return Object.fromEntries(metricsOf(database, attempt).map(({ name, value }) => [name, value]));
}

interface RawMetric {
  readonly name: string;
  readonly step: number | null;
  readonly value: number | null;
  readonly kind: string;
}

type RawRun = Omit<RunRow, 'overrides' | 'params' | 'command' | 'summary'> & {
  readonly overrides: string;
  readonly params: string;
  readonly command: string;
  readonly summary: string | null;
};

function toRun(row: RawRun): RunRow {
  return {
    ...row,
    overrides: JSON.parse(row.overrides) as string[],
    params: JSON.parse(row.params) as JsonObject,
    command: JSON.parse(row.command) as string[],
    summary: row.summary === null ? null : (JSON.parse(row.summary) as JsonObject),
  };
}

function numberOf({ value, kind }: RawMetric): number {
  if (kind === 'nan') return NaN;
  if (kind === 'inf') return Infinity;
  if (kind === '-inf') return -Infinity;
  return value ?? NaN;
}
