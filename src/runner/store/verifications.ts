/** What `pipe verify` found out about attempts: whether a second run made the same. */
import type { Database } from 'better-sqlite3';

export interface VerificationReport {
  /** The attempt whose outputs were compared with. */
  readonly attempt: number;
  /** All outputs came out the same: byte for byte, or as metrics within the tolerance. */
  readonly deterministic: boolean;
  /** Of metrics; null when these had to be the same bytes, too. */
  readonly tolerance: number | null;
  readonly outputs: readonly OutputComparison[];
}

export interface OutputComparison {
  readonly output: string;
  /** `tolerated`: not the same bytes, but metrics within the tolerance. */
  readonly how: 'same' | 'tolerated' | 'different';
  /** What differs, in words; null when nothing does. */
  readonly text: string | null;
}

export interface Verification extends VerificationReport {
  /** The attempt that ran it again. */
  readonly again: number | null;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export function recordVerification(database: Database, report: VerificationReport, facts: { readonly again: number; readonly at: number }): void {
  const { attempt, deterministic, tolerance, outputs } = report;
  database.prepare('INSERT INTO verification (attempt, again, at, deterministic, detail) VALUES (?, ?, ?, ?, ?)')
    .run(attempt, facts.again, facts.at, deterministic ? 1 : 0, JSON.stringify({ tolerance, outputs }));
}

/** Of one attempt, newest first. */
export function verificationsOf(database: Database, attempt: number): Verification[] {
  const rows = database
    .prepare<[number], { attempt: number; again: number | null; at: number; deterministic: number; detail: string }>(
      'SELECT attempt, again, at, deterministic, detail FROM verification WHERE attempt = ? ORDER BY id DESC',
    )
    .all(attempt);
  return rows.map(({ detail, deterministic, ...row }) => ({
    ...row, deterministic: deterministic === 1, ...(JSON.parse(detail) as Pick<VerificationReport, 'tolerance' | 'outputs'>),
  }));
}
