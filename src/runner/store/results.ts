/** Writing to the results database: runs, attempts, records. Reading for tables and history is in `history.ts`. */
import type { Database } from 'better-sqlite3';
import type { JsonObject } from '../json.ts';
import { Durations } from './durations.ts';
import { attemptColumns, toAttempt } from './history.ts';
import type { AttemptRow, RunRow } from './history.ts';
import { readManifest, writeManifest } from './manifests.ts';
import type { Artefact, Attempt, AttemptStatus, Key, Manifest, ResultRecord } from './model.ts';
import { flatParams, kindOf } from './row-values.ts';
import { Statements } from './statements.ts';
import type { TreeNodes } from './tree-nodes.ts';

/** What is known of a run when it begins; `version` is this program's. */
export type RunStart = Omit<RunRow, 'id' | 'endedAt' | 'exitCode' | 'summary'>;

export interface RunEnd {
  readonly endedAt: number;
  readonly exitCode: number;
  /** The counts of `run.finished`. */
  readonly summary: JsonObject;
}

export interface AttemptStart {
  readonly run: number;
  readonly pipeline: string;
  readonly stage: string;
  readonly cell: string;
  readonly point: JsonObject;
  /** The cell's `with`. */
  readonly params: JsonObject;
  readonly planKey: Key;
  readonly actionKey: Key | null;
  readonly manifest: Manifest;
  readonly host: string;
  readonly startedAt: number;
  /** Absolute path; may be set later with `setLog`, when its name holds the attempt's number. */
  readonly log: string;
  readonly platform: JsonObject;
  /** For `pipe verify`: the attempt whose outputs it is to make again. */
  readonly verifies?: number;
}

type Measured = 'cpuSeconds' | 'peakMemoryBytes' | 'gpu' | 'exitCode' | 'signal' | 'cause' | 'message';

export interface AttemptOutcome extends Pick<Attempt, Measured> {
  readonly status: Exclude<AttemptStatus, 'running'>;
  readonly endedAt: number;
  readonly resumedFromStep?: number | null;
  readonly logDigest?: string | null;
}

export interface MetricRow {
  readonly name: string;
  readonly value: number;
  readonly step?: number | null;
}

export type Outputs = Readonly<Record<string, Artefact>>;

interface RecordRow {
  readonly key: Key;
  readonly kind: 'plan' | 'action';
  readonly attempt: number;
  readonly outputs: string;
  readonly accepted: string | null;
}

export class Results {
  readonly durations: Durations;
  readonly #database: Database;
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.durations = new Durations(this.#statements);
  }

  beginRun(run: RunStart): number {
    const { lastInsertRowid } = this.#statements.prepare(
      `INSERT INTO run (pipeline, file, root, profile, overrides, params, command, host, pid, version, started_at)
       VALUES (@pipeline, @file, @root, @profile, @overrides, @params, @command, @host, @pid, @version, @startedAt)`,
    ).run({
      ...run,
      overrides: JSON.stringify(run.overrides),
      params: JSON.stringify(run.params),
      command: JSON.stringify(run.command),
    });
    return Number(lastInsertRowid);
  }

  finishRun(run: number, end: RunEnd): void {
    this.#statements.prepare('UPDATE run SET ended_at = ?, exit_code = ?, summary = ? WHERE id = ?').run(end.endedAt, end.exitCode, JSON.stringify(end.summary), run);
  }

  /** The attempt, its params and its manifest, in one transaction. */
  beginAttempt(attempt: AttemptStart): number {
    return this.#database.transaction(() => {
      const { lastInsertRowid } = this.#statements.prepare(
        `INSERT INTO attempt (run, pipeline, stage, cell, point, plan_key, action_key, status, host, started_at, log, platform, verifies)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)`,
      ).run(
        attempt.run, attempt.pipeline, attempt.stage, attempt.cell, JSON.stringify(attempt.point), attempt.planKey, attempt.actionKey,
        attempt.host, attempt.startedAt, attempt.log, JSON.stringify(attempt.platform), attempt.verifies ?? null,
      );
      const id = Number(lastInsertRowid);
      const param = this.#statements.prepare('INSERT INTO param (attempt, name, value) VALUES (?, ?, ?)');
      for (const [name, value] of flatParams(attempt.params)) param.run(id, name, JSON.stringify(value));
      writeManifest(this.#statements, id, attempt.manifest);
      return id;
    })();
  }

  setLog(attempt: number, log: string): void {
    this.#statements.prepare('UPDATE attempt SET log = ? WHERE id = ?').run(log, attempt);
  }

  /**
   * Ends an attempt and, for one that ran well, writes its records and makes it the cell's current result: one
   * transaction. `records.plan` is left out where a plan key alone may not stand for the result (see `settle`).
   */
  finishAttempt(attempt: number, outcome: AttemptOutcome, records: { readonly plan?: Key; readonly action: Key } | null, outputs: Outputs | null): void {
    this.#database.transaction(() => {
      this.#statements.prepare(
        `UPDATE attempt SET status = @status, ended_at = @endedAt, cpu_seconds = @cpuSeconds, peak_memory_bytes = @peakMemoryBytes,
         gpu = @gpu, exit_code = @exitCode, signal = @signal, cause = @cause, message = @message,
         resumed_from_step = coalesce(@resumedFromStep, resumed_from_step), log_digest = @logDigest WHERE id = @attempt`,
      ).run({ resumedFromStep: null, logDigest: null, ...outcome, attempt });
      if (records === null || outputs === null) return;
      this.#putRecord({ key: records.action, kind: 'action', attempt, outputs, accepted: null });
      if (records.plan !== undefined) this.#putRecord({ key: records.plan, kind: 'plan', attempt, outputs, accepted: null });
      if (outcome.status === 'ran') {
        this.#statements.prepare(
          'INSERT OR REPLACE INTO current (pipeline, cell, stage, point, attempt) SELECT pipeline, cell, stage, point, id FROM attempt WHERE id = ?',
        ).run(attempt);
      }
    })();
  }

  putRecord(record: ResultRecord): void {
    this.#database.transaction(() => this.#putRecord(record))();
  }

  removeRecord(key: Key): void {
    this.#statements.prepare('DELETE FROM record WHERE key = ?').run(key);
  }

  /**
   * Which attempt's result each of a pipeline's cells has now: rows are written only where that differs, and cells that
   * the pipeline has no more are dropped when `whole` is set. What the views `results` and `curves` show.
   */
  setCurrent(
    pipeline: string,
    cells: readonly { readonly cell: string; readonly stage: string; readonly point: JsonObject; readonly attempt: number }[],
    whole: boolean,
  ): void {
    const rows = this.#statements.prepare<[string], { cell: string; attempt: number }>('SELECT cell, attempt FROM current WHERE pipeline = ?').all(pipeline);
    const known = new Map(rows.map(row => [row.cell, row.attempt]));
    const changed = cells.filter(({ cell, attempt }) => known.get(cell) !== attempt);
    for (const { cell } of cells) known.delete(cell);
    const gone = whole ? [...known.keys()] : [];
    if (changed.length === 0 && gone.length === 0) return;
    this.#database.transaction(() => {
      const insert = this.#statements.prepare('INSERT OR REPLACE INTO current (pipeline, cell, stage, point, attempt) VALUES (?, ?, ?, ?, ?)');
      for (const { cell, stage, point, attempt } of changed) insert.run(pipeline, cell, stage, JSON.stringify(point), attempt);
      for (const cell of gone) this.#statements.prepare('DELETE FROM current WHERE pipeline = ? AND cell = ?').run(pipeline, cell);
    })();
  }

  /** In one transaction: hand over as many as there are at a time. NaN and infinities are kept by kind. */
  recordMetrics(attempt: number, rows: readonly MetricRow[]): void {
    if (rows.length === 0) return;
    const insert = this.#statements.prepare('INSERT INTO metric (attempt, name, step, value, kind) VALUES (?, ?, ?, ?, ?)');
    this.#database.transaction(() => {
      for (const { name, value, step } of rows) insert.run(attempt, name, step ?? null, Number.isFinite(value) ? value : null, kindOf(value));
    })();
  }

  recordNote(attempt: number, text: string): void {
    this.#statements.prepare(`UPDATE attempt SET notes = json_insert(notes, '$[#]', ?) WHERE id = ?`).run(text, attempt);
  }

  /** Facts where an attempt ran, added to those known. */
  recordPlatform(attempt: number, facts: JsonObject): void {
    this.#statements.prepare('UPDATE attempt SET platform = json_patch(platform, ?) WHERE id = ?').run(JSON.stringify(facts), attempt);
  }

  recordResume(attempt: number, step: number): void {
    this.#statements.prepare('UPDATE attempt SET resumed_from_step = ? WHERE id = ?').run(step, attempt);
  }

  lookup(key: Key): ResultRecord | null {
    const row = this.#statements.prepare<[string], RecordRow>('SELECT key, kind, attempt, outputs, accepted FROM record WHERE key = ?').get(key);
    return row === undefined ? null : toRecord(row);
  }

  /** Those that there are, by key. */
  lookupMany(keys: readonly Key[]): Map<Key, ResultRecord> {
    const found = new Map<Key, ResultRecord>();
    const statement = this.#statements.prepare<[string], RecordRow>('SELECT key, kind, attempt, outputs, accepted FROM record WHERE key = ?');
    this.#database.transaction(() => {
      for (const key of keys) {
        const row = statement.get(key);
        if (row !== undefined) found.set(key, toRecord(row));
      }
    })();
    return found;
  }

  /** The newest attempts of a cell, newest first, without those of `pipe verify`; `status` narrows them. */
  lastAttempts(pipeline: string, cell: string, options: { readonly status?: AttemptStatus; readonly limit?: number } = {}): Attempt[] {
    const limit = options.limit ?? 20;
    const rows =
      options.status === undefined
        ? this.#statements.prepare<[string, string, number], AttemptRow>(
            `SELECT ${attemptColumns} FROM attempt WHERE pipeline = ? AND cell = ? AND verifies IS NULL ORDER BY id DESC LIMIT ?`).all(pipeline, cell, limit)
        : this.#statements.prepare<[string, string, string, number], AttemptRow>(
            `SELECT ${attemptColumns} FROM attempt WHERE pipeline = ? AND cell = ? AND status = ? AND verifies IS NULL ORDER BY id DESC LIMIT ?`,
          ).all(pipeline, cell, options.status, limit);
    return rows.map(toAttempt);
  }

  /** The newest attempt with a plan key, however it ended, whatever pipeline it belonged to. */
  lastAttemptOfPlanKey(planKey: Key): Attempt | null {
    const row = this.#statements.prepare<[string], AttemptRow>(`SELECT ${attemptColumns} FROM attempt WHERE plan_key = ? AND verifies IS NULL ORDER BY id DESC LIMIT 1`).get(planKey);
    return row === undefined ? null : toAttempt(row);
  }

  attempt(id: number): Attempt | null {
    const row = this.#statements.prepare<[number], AttemptRow>(`SELECT ${attemptColumns} FROM attempt WHERE id = ?`).get(id);
    return row === undefined ? null : toAttempt(row);
  }

  /** The last thing that an attempt said of itself. */
  lastNote(attempt: number): string | null {
    return this.#statements.prepare<[number], { note: string | null }>(`SELECT json_extract(notes, '$[#-1]') AS note FROM attempt WHERE id = ?`).get(attempt)?.note ?? null;
  }

  /** The same of many, by attempt; of those that said anything. */
  lastNotes(attempts: readonly number[]): Map<number, string> {
    const rows = this.#statements.prepare<[string], { id: number; note: string }>(
      `SELECT attempt.id AS id, json_extract(notes, '$[#-1]') AS note FROM json_each(?) JOIN attempt ON attempt.id = json_each.value WHERE notes <> '[]'`,
    ).all(JSON.stringify(attempts));
    return new Map(rows.map(({ id, note }) => [id, note]));
  }

  /** Whether there was an attempt with the action key before this one. */
  hasEarlierAttempt(actionKey: Key, attempt: number): boolean {
    return this.#statements.prepare('SELECT 1 FROM attempt WHERE action_key = ? AND id < ? LIMIT 1').get(actionKey, attempt) !== undefined;
  }

  /** Attempts that say they are running, in whatever run: some may have been left behind by a crash. */
  runningAttempts(): Attempt[] {
    return this.#statements.prepare<[], AttemptRow>(`SELECT ${attemptColumns} FROM attempt WHERE status = 'running' ORDER BY id`).all().map(toAttempt);
  }

  /** What an attempt depended on, sorted by part; empty when it is not known. */
  manifestOf(attempt: number): Manifest {
    return readManifest(this.#statements, attempt);
  }

  /** Keeps the nodes of a folder that was an input, so that `why` can name the file that changed. */
  putTreeNodes(nodes: TreeNodes): void {
    if (nodes.empty) return;
    const insert = this.#statements.prepare('INSERT OR IGNORE INTO tree_node (digest, entries) VALUES (?, ?)');
    const known = this.#statements.prepare<[string], { digest: string }>('SELECT digest FROM tree_node WHERE digest = ?');
    this.#database.transaction(() => {
      for (const [digest, node] of nodes.unknown(root => known.get(root) !== undefined)) insert.run(digest, node);
    })();
  }

  treeNode(digest: string): Buffer | null {
    return this.#statements.prepare<[string], { entries: Buffer }>('SELECT entries FROM tree_node WHERE digest = ?').get(digest)?.entries ?? null;
  }

  /** Two different results under one plan key, as of a stage that is not deterministic: then it stands for neither. */
  #putRecord(record: ResultRecord): void {
    if (record.kind === 'plan') {
      const other = this.lookup(record.key);
      if (other !== null && !sameOutputs(other.outputs, record.outputs)) return this.removeRecord(record.key);
    }
    this.#statements.prepare('INSERT OR REPLACE INTO record (key, kind, attempt, outputs, accepted) VALUES (?, ?, ?, ?, ?)').run(
      record.key, record.kind, record.attempt, JSON.stringify(record.outputs), record.accepted,
    );
  }
}

function toRecord({ key, kind, attempt, outputs, accepted }: RecordRow): ResultRecord {
  return { key, kind, attempt, outputs: JSON.parse(outputs) as Outputs, accepted };
}

function sameOutputs(a: Outputs, b: Outputs): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every(name => a[name]!.digest === b[name]?.digest);
}
