/** How long cells took, for estimates of what is to come. */
import { median } from './row-values.ts';
import type { Statements } from './statements.ts';

interface Took {
  readonly ms: number;
}

export class Durations {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Median wall milliseconds of the last five successes of a cell; null without any. */
  ofCell(pipeline: string, cell: string): number | null {
    const own = this.#statements.prepare<[string, string], Took>(
      `SELECT ended_at - started_at AS ms FROM attempt WHERE pipeline = ? AND cell = ? AND status = 'ran' ORDER BY id DESC LIMIT 5`,
    ).all(pipeline, cell);
    return median(own.map(({ ms }) => ms));
  }

  /** Median wall milliseconds of the last twenty successes of a stage's cells, in any pipeline; null without any. */
  ofStage(stage: string): number | null {
    const all = this.#statements.prepare<[string], Took>(
      `SELECT ended_at - started_at AS ms FROM attempt WHERE stage = ? AND status = 'ran' ORDER BY id DESC LIMIT 20`,
    ).all(stage);
    return median(all.map(({ ms }) => ms));
  }
}
