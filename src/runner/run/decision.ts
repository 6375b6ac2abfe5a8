/** A halving decision: which members of a rung go on. Run by the runner itself, with a record like any other cell's. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { CellAction } from '../pipeline/model.ts';
import type { Store } from '../store/store.ts';
import type { Outputs } from './cell-result.ts';
import type { JobInput } from './executor.ts';
import { readMetricsFile } from './metrics-file.ts';

type DecisionAction = Extract<CellAction, { kind: 'decision' }>;

export interface Decision {
  readonly metric: string;
  readonly mode: 'min' | 'max';
  readonly survivors: readonly string[];
  /** The metric of each member; null where it has none, such as a failed one. */
  readonly scores: Readonly<Record<string, number | null>>;
}

/** Members with a number, the best first; ties go to the one that comes first. */
function ranked(members: readonly string[], scores: readonly (number | null)[], mode: 'min' | 'max'): string[] {
  return members
    .map((member, index) => ({ member, score: scores[index] ?? null, index }))
    .filter((entry): entry is { member: string; score: number; index: number } => entry.score !== null && !Number.isNaN(entry.score))
    .sort((a, b) => (mode === 'min' ? a.score - b.score : b.score - a.score) || a.index - b.index)
    .map(({ member }) => member);
}

/** The same of a decision that was made. */
export const rankingOf = ({ scores, mode }: Decision): string[] => ranked(Object.keys(scores), Object.values(scores), mode);

/** The last value counts. Ties go to the member that comes first; one without a number never goes on. */
export function decide(action: DecisionAction, scores: readonly (number | null)[]): Decision {
  const order = ranked(action.members, scores, action.mode);
  if (order.length === 0) throw new Error(`no member of the rung has the metric ${action.metric}`);
  const chosen = new Set(order.slice(0, action.keep));
  return {
    metric: action.metric,
    mode: action.mode,
    survivors: action.members.filter(member => chosen.has(member)),
    scores: Object.fromEntries(action.members.map((member, index) => [member, finite(scores[index] ?? null)])),
  };
}

/** The cohort's metrics, in the order of the members. */
export function cohortScores(action: DecisionAction, inputs: Readonly<Record<string, JobInput>>): (number | null)[] {
  const cohort = inputs.metrics;
  if (cohort?.kind !== 'gather') throw new Error('a decision needs the metrics of its cohort');
  return cohort.items.map(({ path }) => {
    if (path === null) return null;
    const rows = readMetricsFile(path).filter(({ name }) => name === action.metric);
    return rows.reduce<(typeof rows)[number] | null>((last, row) => (last === null || (row.step ?? Infinity) >= (last.step ?? Infinity) ? row : last), null)?.value ?? null;
  });
}

export function writeDecision(file: string, decision: Decision): void {
  writeFileSync(file, `${JSON.stringify(decision, null, 2)}\n`);
}

/** Where a finished decision's output lies. */
export function decisionFile(store: Store, outputs: Outputs): string {
  const { survivors } = outputs;
  if (survivors === undefined) throw new Error('a decision has no output `survivors`');
  return store.artefacts.pathOf(survivors);
}

/** What a finished decision says. */
export const readDecision = (file: string): Decision => JSON.parse(readFileSync(file, 'utf8')) as Decision;

/** The members that a finished decision lists. */
export const readSurvivors = (file: string): readonly string[] => readDecision(file).survivors;

const finite = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);
