/** What a successive halving did (Jamieson and Talwalkar, 2016): who stood where at each rung, who went on, and who was best. */

export interface RungResult {
  readonly candidate: string;
  readonly rung: number;
  /** Null where it has no number: it failed, or was stopped before. */
  readonly score: number | null;
  /** A halving left it out at this rung. */
  readonly stopped: boolean;
}

/** One candidate at one rung that it reached. */
export interface RungDecision {
  readonly rung: number;
  readonly candidate: string;
  readonly score: number | null;
  /** From 1, among those with a score; null without one. */
  readonly place: number | null;
  readonly of: number;
  /** Whether it was let go on; null at the last rung, which decides nothing. */
  readonly wentOn: boolean | null;
  readonly why: string;
}

/** Every candidate at every rung that it reached, rungs ascending, the best first. */
export function rungDecisions(results: readonly RungResult[], { metric, better }: { readonly metric: string; readonly better: 'higher' | 'lower' }): RungDecision[] {
  const rungs = [...new Set(results.map(({ rung }) => rung))].sort((a, b) => a - b);
  const at = (rung: number): RungResult[] => results.filter((result) => result.rung === rung);
  return rungs.flatMap((rung, index) => {
    const reached = at(rung).filter(({ stopped }) => !stopped);
    const scored = reached.filter((result): result is RungResult & { score: number } => result.score !== null && !Number.isNaN(result.score));
    // Sorting is stable: ties go to the one that comes first, as the runner decides.
    const order = scored.toSorted((a, b) => (better === 'lower' ? a.score - b.score : b.score - a.score));
    const next = rungs[index + 1];
    const later = next === undefined ? null : new Map(at(next).map(({ candidate, stopped }) => [candidate, !stopped]));
    const kept = later === null ? 0 : [...later.values()].filter(Boolean).length;
    const unscored = reached.filter((result) => !order.some(({ candidate }) => candidate === result.candidate));
    return [...order, ...unscored].map(({ candidate, score }): RungDecision => {
      const place = order.findIndex((result) => result.candidate === candidate) + 1;
      const wentOn = later === null ? null : (later.get(candidate) ?? false);
      const stood = place === 0 ? `it has no ${metric}` : `${metric} ${score!.toPrecision(4)} is number ${place} of ${order.length}`;
      return { rung, candidate, score, place: place === 0 ? null : place, of: order.length, wentOn, why: later === null ? stood : `${stood}, and ${kept} went on` };
    });
  });
}

/** Which candidate was best in the end, and how many were spared which rungs. `candidates` are in the order in which they were laid out. */
export function halvingAnswer(decisions: readonly RungDecision[], candidates: readonly string[], { metric, subject }: { readonly metric: string; readonly subject: string }): string {
  const last = Math.max(...decisions.map(({ rung }) => rung));
  const [best, second] = decisions.filter(({ rung, place }) => rung === last && place !== null);
  if (best === undefined) return `No ${subject} reached the last rung with a ${metric}.`;
  const lead = second === undefined ? 'the only one to reach the last rung' : `ahead of ${second.candidate} with ${second.score!.toPrecision(4)}`;
  const stops = [...new Set(decisions.map(({ rung }) => rung))].flatMap((rung) => {
    const stopped = decisions.filter((one) => one.rung === rung && one.wentOn === false);
    return stopped.length === 0 ? [] : [`after ${rung.toLocaleString('en')} ${stopped.map(({ candidate }) => candidate).join(', ')}`];
  });
  const place = candidates.indexOf(best.candidate);
  const edge = candidates.length > 2 && (place === 0 || place === candidates.length - 1) ? ` It is at the edge of what was tried: a better one may lie beyond.` : '';
  return `Of these ${subject} ${best.candidate} is best with ${metric} ${best.score!.toPrecision(4)}, ${lead}; one seed, no interval.${edge} Stopped ${stops.join('; ')}.`;
}
