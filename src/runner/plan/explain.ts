/** `pipe why`: the reasons of one cell in full, with what it was compared with, the nearest cached cell, and its causes. */
import type { Database } from 'better-sqlite3';
import type { Json } from '../json.ts';
import type { Cell } from '../pipeline/model.ts';
import type { Manifest } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { artefactValue } from './manifest.ts';
import type { Explanation, Plan, Reason } from './model.ts';
import { contextOf } from './plan-context.ts';
import type { PlanContext } from './plan-context.ts';
import { compareManifests, sameValue } from './reasons.ts';

/** Causes are followed to the cells that began it, each explained once. */
export function explain(plan: Plan, cell: number, store: Store): Explanation {
  return explainOnce(plan, cell, store, new Set());
}

function explainOnce(plan: Plan, index: number, store: Store, seen: Set<number>): Explanation {
  seen.add(index);
  const context = contextOf(plan);
  const cell = plan.graph.cells[index]!;
  const planned = plan.cells[index]!;
  const manifest = manifestNow(plan, context, cell);
  const compared = comparedWith(plan, cell, store);
  const differences = compared === null ? [] : settledDifferences(context, plan, cell, compared.manifest, manifest);
  const reasons = withDetails(planned.reasons, differences);
  const causes = reasons.flatMap(reason => (reason.kind === 'upstream' ? [reason.cell] : []));
  const because = [...new Set(causes)].filter(cause => !seen.has(cause)).map(cause => explainOnce(plan, cause, store, seen));
  return {
    cell: index,
    reasons,
    manifest,
    comparedWith: compared,
    nearest: planned.state === 'run' || planned.state === 'pending' ? nearestCached(plan, context, cell, manifest, compared?.attempt ?? null) : null,
    estimateMs: planned.estimateMs,
    accepted: acceptanceOf(planned),
    made: madeBy(planned, store),
    because,
  };
}

/** Inputs that are not settled stand in it by the plan key of the cell that will make them. */
function manifestNow(plan: Plan, context: PlanContext, cell: Cell): Manifest {
  const known = (producer: number, output: string): Json => {
    const { record, state } = plan.cells[producer]!;
    if (state === 'stopped') return 'stopped';
    const artefact = state === 'fresh' ? record?.outputs[output] : undefined;
    return artefact === undefined ? { cell: context.planKeys.of(producer), output } : artefactValue(artefact);
  };
  return context.reader.manifest(cell, known);
}

function acceptanceOf({ record }: Plan['cells'][number]): Explanation['accepted'] {
  return record === null || record.accepted === null ? null : { reason: record.accepted, attempt: record.attempt };
}

function madeBy({ record, state }: Plan['cells'][number], store: Store): Explanation['made'] {
  if (record === null || state !== 'fresh') return null;
  return { attempt: record.attempt, resumedFromStep: store.results.attempt(record.attempt)?.resumedFromStep ?? null };
}

function comparedWith(plan: Plan, cell: Cell, store: Store): Explanation['comparedWith'] {
  const record = plan.cells[cell.index]!.record;
  const attempt = record?.attempt ?? store.results.lastAttempts(plan.graph.pipeline, cell.id, { status: 'ran', limit: 1 })[0]?.id;
  return attempt === undefined ? null : { attempt, manifest: store.results.manifestOf(attempt) };
}

/** Differences in parts that are settled; what comes from a cell that is not is said by its `upstream` reason. */
function settledDifferences(context: PlanContext, plan: Plan, cell: Cell, before: Manifest, now: Manifest): Reason[] {
  return compareManifests(context, cell, before, now).filter(reason => reason.kind !== 'upstream' || plan.cells[reason.cell]!.state === 'fresh');
}

/** The plan's reasons first, as decided; then what else differs, ignored parts last. */
function withDetails(decided: readonly Reason[], differences: readonly Reason[]): Reason[] {
  const seen = new Set(decided.map(reason => JSON.stringify(reason)));
  const added = differences.filter(reason => !seen.has(JSON.stringify(reason)));
  return [...decided, ...added.filter(({ kind }) => kind !== 'ignored'), ...added.filter(({ kind }) => kind === 'ignored')];
}

const candidateLimit = 200;

/** The result in the cache, of the same stage, that differs in the fewest parts. */
function nearestCached(plan: Plan, context: PlanContext, cell: Cell, manifest: Manifest, except: number | null): Explanation['nearest'] {
  const { store } = context;
  const stage = plan.graph.stages[cell.stage]!.name;
  const candidates = candidatesOf(store.database, plan.graph.pipeline, stage).filter(({ id }) => id !== except);
  let best: { readonly id: number; readonly cell: string; readonly manifest: Manifest; readonly count: number } | null = null;
  for (const candidate of candidates) {
    const theirs = store.results.manifestOf(candidate.id);
    const count = differingParts(theirs, manifest);
    if (best === null || count < best.count) best = { ...candidate, manifest: theirs, count };
  }
  if (best === null) return null;
  const differences = settledDifferences(context, plan, cell, best.manifest, manifest).filter(({ kind }) => kind !== 'ignored');
  return { attempt: best.id, cell: best.cell, differences };
}

/** The newest successes of a stage that still have a record, one for each cell and set of params. */
function candidatesOf(database: Database, pipeline: string, stage: string): { readonly id: number; readonly cell: string }[] {
  return database
    .prepare<[string, string, number], { id: number; cell: string }>(
      `SELECT DISTINCT attempt.id AS id, cell FROM attempt JOIN record ON record.attempt = attempt.id
       WHERE pipeline = ? AND stage = ? AND status = 'ran' ORDER BY attempt.id DESC LIMIT ?`,
    )
    .all(pipeline, stage, candidateLimit);
}

function differingParts(before: Manifest, after: Manifest): number {
  const old = new Map(before.map(part => [part.part, part]));
  let count = 0;
  for (const part of after) {
    const previous = old.get(part.part);
    old.delete(part.part);
    if (part.ignored !== true && (previous === undefined || !sameValue(previous.value, part.value))) count++;
  }
  for (const part of old.values()) if (part.ignored !== true) count++;
  return count;
}
