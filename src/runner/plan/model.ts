/**
 * The plan: one object behind `status`, `run --dry`, `run`, `why`, `graph`, the terminal view and `--json`.
 * Reasons are made by the code that decides.
 */
import type { CellGraph, Json, Origin } from '../pipeline/model.ts';
import type { Key, Manifest, ResultRecord } from '../store/model.ts';

/**
 * - `fresh`: a record with all its artefacts is there.
 * - `run`: will run.
 * - `pending`: depends on a cell that runs; settled by its action key once its inputs are known.
 * - `stopped`: a halving decision left it out.
 */
export type CellState = 'fresh' | 'run' | 'pending' | 'stopped';

export type Reason =
  | { readonly kind: 'never-run' }
  | { readonly kind: 'part-changed'; readonly part: string; readonly before: Json; readonly after: Json; readonly origins: readonly Origin[] }
  | { readonly kind: 'part-added'; readonly part: string; readonly after: Json; readonly origins: readonly Origin[] }
  | { readonly kind: 'part-removed'; readonly part: string; readonly before: Json }
  /** A module of the stage's import closure; `chain` leads from the stage module to it. */
  | { readonly kind: 'code-changed'; readonly file: string; readonly change: 'edited' | 'added' | 'removed'; readonly chain: readonly string[] }
  | { readonly kind: 'package-changed'; readonly name: string; readonly before: string | null; readonly after: string | null }
  /** A file inside an input folder or glob of the project. */
  | { readonly kind: 'input-changed'; readonly input: string; readonly file: string; readonly change: 'edited' | 'added' | 'removed' }
  /** An input made by another cell is not settled yet, or came out different. */
  | { readonly kind: 'upstream'; readonly input: string; readonly cell: number }
  | { readonly kind: 'output-gone'; readonly output: string; readonly neededBy: string | null }
  | { readonly kind: 'output-damaged'; readonly output: string }
  | { readonly kind: 'failed-before'; readonly attempt: number; readonly message: string }
  | { readonly kind: 'tainted-before'; readonly attempt: number }
  | { readonly kind: 'forced' }
  | { readonly kind: 'always' }
  /** Left out of the key by `ignore:`; shown, never a cause. */
  | { readonly kind: 'ignored'; readonly part: string; readonly before: Json; readonly after: Json };

export type Cacheable = { readonly ok: true } | { readonly ok: false; readonly why: string };

export interface PlannedCell {
  /** Index into `graph.cells`. */
  readonly cell: number;
  readonly state: CellState;
  readonly planKey: Key;
  /** Known when every input's digest is. */
  readonly actionKey: Key | null;
  /** The record that makes it fresh. */
  readonly record: ResultRecord | null;
  /** The causes that the decision was made on; `explain` adds the details. */
  readonly reasons: readonly Reason[];
  readonly cacheable: Cacheable;
  /** Wall time of the last successful attempts of this cell, or of its stage; null without history. */
  readonly estimateMs: number | null;
  /** A cell with the same key earlier in the plan: run once, and shared. */
  readonly sameAs: number | null;
  /** Fresh, with outputs that are in a shared cache and not here. */
  readonly remote: boolean;
}

export interface PlanCounts {
  readonly fresh: number;
  readonly run: number;
  readonly pending: number;
  readonly stopped: number;
}

export interface Plan {
  readonly graph: CellGraph;
  /** One for each cell, same order. */
  readonly cells: readonly PlannedCell[];
  /** The cells that the targets select, and what they need; all of them without targets. */
  readonly selected: ReadonlySet<number>;
  readonly counts: PlanCounts;
  /** Critical path over the estimates, for the heading; null without history. */
  readonly estimateMs: number | null;
}

/** What `pipe why` shows of one cell. */
export interface Explanation {
  readonly cell: number;
  readonly reasons: readonly Reason[];
  /** The manifest as it is now, and the one of the last successful attempt it was compared with. */
  readonly manifest: Manifest;
  readonly comparedWith: { readonly attempt: number; readonly manifest: Manifest } | null;
  /** The cached cell of the same stage that differs least, and in what. */
  readonly nearest: { readonly attempt: number; readonly cell: string; readonly differences: readonly Reason[] } | null;
  readonly estimateMs: number | null;
  /** Fresh only because `pipe accept` let an attempt made under another key stand for it, for this reason. */
  readonly accepted: { readonly reason: string; readonly attempt: number } | null;
  /** The attempt whose result a fresh cell has, and the step of the checkpoint that this one went on from, if any. */
  readonly made: { readonly attempt: number; readonly resumedFromStep: number | null } | null;
  /** For `upstream` reasons: their own explanations. */
  readonly because: readonly Explanation[];
}
